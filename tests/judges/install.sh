#!/bin/sh
# Programs that nobody here wrote, whom the tests ask for a second opinion: Go's reader of signed notes and logs, OpenSSL,
# a browser, Poppler's reader of PDF; and what an archive may rest on: PostgreSQL, the Java that Apache Spark runs on,
# OpenSSH's server and a security module in software. Debian's packages; where they cannot be installed the tests that
# need them are skipped and say so.
wanted=""
command -v chromium >/dev/null || wanted="$wanted chromium"
[ -d /usr/share/fonts/truetype/liberation ] || [ -d /usr/share/fonts/truetype/liberation2 ] || wanted="$wanted fonts-liberation" # as wide as Arial
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted="$wanted postgresql"
command -v go >/dev/null || wanted="$wanted golang-go"
command -v java >/dev/null || [ -x "$JAVA_HOME/bin/java" ] || wanted="$wanted default-jre-headless" # 17 on Debian 12
command -v pdftotext >/dev/null || wanted="$wanted poppler-utils"
command -v openssl >/dev/null || wanted="$wanted openssl"
[ -x /usr/sbin/sshd ] || wanted="$wanted openssh-server"
command -v softhsm2-util >/dev/null || wanted="$wanted softhsm2"
[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ] || wanted="$wanted golang-golang-x-mod-dev"
[ -z "$wanted" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not on this machine:$wanted (needs root and apt-get). The tests that ask them are skipped."
    exit 0
fi
echo "Installing what the tests are judged by:$wanted"
export DEBIAN_FRONTEND=noninteractive
# The tests start a server of their own: none of the machine's is to come up because its package was wanted.
case "$wanted" in *openssh-server*) [ -e /etc/systemd/system/ssh.service ] || {
    mkdir -p /etc/systemd/system && ln -s /dev/null /etc/systemd/system/ssh.service
} ;; esac
apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends $wanted >/dev/null 2>&1 ||
    echo "Could not be had:$wanted. The tests that ask them are skipped."
