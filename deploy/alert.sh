#!/bin/sh
# Tells somebody that a unit of systemd has failed: alert.sh UNIT. Nothing of what it printed is sent, but the code it
# ended with, what that means, and where to look.
#
# From the environment (/etc/provenance/alert): MAIL_TO, an address for sendmail; WEBHOOK, an address that takes
# {"text": ...} by POST. One or both; the first that fails ends it with 1, so that the failure shows among failed units.
set -eu

unit=$1
code=$(systemctl show --value --property=ExecMainStatus "$unit")
result=$(systemctl show --value --property=Result "$unit")
case $result-$code in
    exit-code-2) meaning="usage: the unit's command is wrong" ;;
    exit-code-3) meaning="refused: a person has to look and decide" ;;
    exit-code-4) meaning="DOES NOT VERIFY: change nothing, and read the runbook first" ;;
    exit-code-5) meaning="missing: something that was wanted is not there" ;;
    exit-code-6) meaning="conflict: something else was at work, or the disk is full" ;;
    exit-code-7) meaning="malformed: something that came in, or a setting, is not in its form" ;;
    exit-code-*) meaning="an error of the program" ;;
    *) meaning="ended by the machine: $result" ;;
esac
said="$unit on $(uname -n) ended with code $code: $meaning. What it said: journalctl -u $unit. What to do: docs/runbook.md"

[ -n "${MAIL_TO:-}${WEBHOOK:-}" ] || { echo "alert: neither MAIL_TO nor WEBHOOK is set" >&2; exit 1; }
if [ -n "${MAIL_TO:-}" ]; then
    printf 'To: %s\nSubject: %s ended with code %s\n\n%s\n' "$MAIL_TO" "$unit" "$code" "$said" | sendmail -t
fi
if [ -n "${WEBHOOK:-}" ]; then
    printf '{"text": "%s"}' "$said" |
        curl --silent --show-error --fail --max-time 30 --header 'Content-Type: application/json' --data @- "$WEBHOOK"
fi
