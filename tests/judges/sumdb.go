// Judges C2SP tlog-proofs and tlog-witness requests by Go's x/mod/sumdb: `note` opens the heads, `tlog` checks the
// paths. A line of JSON in, a line out: "ok", or "refused: " and why. It shares nothing with the product.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Proof     []byte   `json:"proof"`    // a .tlog-proof,
	Entry     []byte   `json:"entry"`    // and what it is said to prove;
	Request   []byte   `json:"request"`  // or an add-checkpoint body,
	OldRoot   []byte   `json:"old_root"` // and the root that was kept
	Log       string   `json:"log"`
	Witnesses []string `json:"witnesses"`
	Threshold int      `json:"threshold"`
}

// A cosigner verifies cosignature/v1, which x/mod does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(sig), msg)
	return ed25519.Verify(c.key, []byte(message), sig[8:])
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("cosigner's key is not in three parts")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != 4 {
		return nil, errors.New("cosigner's key is not one of type 4")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if fmt.Sprintf("%x", sum[:4]) != parts[1] {
		return nil, errors.New("cosigner's key has another hash")
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(sum[:4]), key[1:]}, nil
}

func number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (n < 0 || strconv.FormatInt(n, 10) != text) {
		err = errors.New("a number in another form")
	}
	return n, err
}

// split gives the lines before the first empty one, and what follows it.
func split(data []byte) ([]string, []byte, error) {
	opening, rest, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok {
		return nil, nil, errors.New("no empty line")
	}
	return strings.Split(string(opening), "\n"), rest, nil
}

func hashes(lines []string) ([]tlog.Hash, error) {
	path := []tlog.Hash{}
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		path = append(path, hash)
	}
	return path, nil
}

// head opens a signed head: by the log, and by so many of the witnesses.
func head(data []byte, q question) (size int64, root tlog.Hash, err error) {
	log, err := note.NewVerifier(q.Log)
	if err != nil {
		return
	}
	known := []note.Verifier{log}
	for _, vkey := range q.Witnesses {
		witness, err := newCosigner(vkey)
		if err != nil {
			return 0, root, err
		}
		known = append(known, witness)
	}
	opened, err := note.Open(data, note.VerifierList(known...))
	if err != nil {
		return
	}
	logs, witnesses := 0, 0
	for _, sig := range opened.Sigs {
		if sig.Name == log.Name() && sig.Hash == log.KeyHash() {
			logs++
		} else {
			witnesses++
		}
	}
	if logs != 1 || witnesses < q.Threshold {
		return 0, root, fmt.Errorf("%d lines of the log, %d of witnesses", logs, witnesses)
	}
	lines := strings.SplitN(opened.Text, "\n", 4)
	if len(lines) < 4 || lines[0] != log.Name() {
		return 0, root, errors.New("no head of this log")
	}
	if size, err = number(lines[1]); err != nil {
		return
	}
	root, err = tlog.ParseHash(lines[2])
	return
}

func judge(q question) error {
	if q.Request != nil {
		return judgeRequest(q)
	}
	lines, rest, err := split(q.Proof)
	if err != nil {
		return err
	}
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("another first line")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return errors.New("no index")
	}
	index, path, size, root, err := parts(lines[0][len("index "):], lines[1:], rest, q)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(path, size, root, index, tlog.RecordHash(q.Entry))
}

// parts reads what a proof and a request have in common: a place, digests, and a signed head.
func parts(place string, digests []string, rest []byte, q question) (int64, []tlog.Hash, int64, tlog.Hash, error) {
	at, err := number(place)
	if err != nil {
		return 0, nil, 0, tlog.Hash{}, err
	}
	path, err := hashes(digests)
	if err != nil {
		return 0, nil, 0, tlog.Hash{}, err
	}
	size, root, err := head(rest, q)
	return at, path, size, root, err
}

func judgeRequest(q question) error {
	lines, rest, err := split(q.Request)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(lines[0], "old ") {
		return errors.New("another first line")
	}
	old, path, size, root, err := parts(lines[0][len("old "):], lines[1:], rest, q)
	if err != nil {
		return err
	}
	var kept tlog.Hash
	copy(kept[:], q.OldRoot)
	return tlog.CheckTree(path, size, root, old, kept)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := judge(q); err != nil {
			fmt.Fprintf(out, "refused: %q\n", err.Error())
		} else {
			fmt.Fprintln(out, "ok")
		}
	}
}
