#!/bin/sh
# Refuse to start on a placeholder: check-secrets.sh COMMAND [ARGUMENT...]
#
# Looks at every environment variable whose name ends like a secret's, and at every password inside a URL or
# a JSON connection, also where the one is within the other, so that a secret added later is checked without being listed here. Names what is wrong, never the value.
set -eu

awk '
function refuse(name, why) {
    printf "nightshift: %s %s; see .env.example\n", name, why > "/dev/stderr"
    refused = 1
}
function distinct(text,    i, seen, n) {
    for (i = 1; i <= length(text); i++) if (!(substr(text, i, 1) in seen)) { seen[substr(text, i, 1)]; n++ }
    return n
}
function check_words(name, value) {
    if (value == "") refuse(name, "is empty")
    else if (tolower(value) ~ /change.?me|placeholder|password|secret|example|your[-_]|replace/)
        refuse(name, "is a placeholder")
    else return 1
    return 0
}
# Our own secrets: long, random, and free of what a URL would have to escape.
function check_own(name, value) {
    if (!check_words(name, value)) return
    if (length(value) < 16 || distinct(value) < 8) refuse(name, "is too simple: 16 characters at least, random")
    else if (name ~ /PASSWORD$/ && value ~ /[^A-Za-z0-9._~-]/)
        refuse(name, "goes into URLs: only letters, digits and . _ ~ - please")
}
# Passwords of other systems are not ours to judge, but a placeholder is a placeholder.
function check_url(name, value,    user, password) {
    sub(/^[^:]*:\/\//, "", value)
    sub(/@.*$/, "", value)
    user = password = value
    sub(/:.*$/, "", user)
    if (!sub(/^[^:]*:/, "", password)) return
    if (check_words(name, password) && password == user) refuse(name, "has the user name for a password")
}
# One text of a JSON object by the name of its key; empty and found are told apart.
function value_of(json, key,    part) {
    found = match(tolower(json), "\"" key "\"[ \t\n]*:[ \t\n]*\"[^\"]*\"")
    if (!found) return ""
    part = substr(json, RSTART, RLENGTH - 1)
    sub(/^"[^"]*"[ \t\n]*:[ \t\n]*"/, "", part)
    return part
}
function check_json(name, value,    login, password, keys) {
    # JSON within JSON, as in an extra: its quotes are quotes too.
    gsub(/\\/, "", value)
    login = value_of(value, "login")
    password = value_of(value, "password")
    if (found && check_words(name, password) && password == login) refuse(name, "has the user name for a password")
    keys = "[^\"]*(passw|passphrase|secret|token|api_?key|account_?key|access_?key|authorization|cookie)[^\"]*"
    while (match(tolower(value), "\"" keys "\"[ \t\n]*:[ \t\n]*\"[^\"]+\"")) {
        password = substr(value, RSTART, RLENGTH - 1)
        value = substr(value, 1, RSTART - 1) " " substr(value, RSTART + RLENGTH)
        sub(/^"[^"]*"[ \t\n]*:[ \t\n]*"/, "", password)
        check_words(name, password)
    }
    while (match(value, /[a-z0-9+_-]+:\/\/[^\/" ]*@/)) {
        check_url(name, substr(value, RSTART, RLENGTH))
        value = substr(value, RSTART + RLENGTH)
    }
}
BEGIN {
    for (name in ENVIRON) {
        if (name ~ /_(PASSWORD|SECRET|KEY|TOKEN)$/) check_own(name, ENVIRON[name])
        else if (ENVIRON[name] ~ /^[ \t\n]*\{/) check_json(name, ENVIRON[name])
        else if (ENVIRON[name] ~ /^[a-z0-9+_-]+:\/\/[^\/]*@/) check_url(name, ENVIRON[name])
    }
    exit refused ? 78 : 0
}' </dev/null

exec "$@"
