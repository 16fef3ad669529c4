#!/bin/sh
# Installs the GuruRMM agent on this machine, or removes it:
#
#   curl -fsSL @SERVER_URL@/install.sh | sudo sh -s -- --token TOKEN
#   curl -fsSL @SERVER_URL@/install.sh | sudo sh -s -- --uninstall
#
#   --token TOKEN    a registration token, a site's key or a site code; needed the first time
#   --server URL     another server than the one this came from (https://…)
#   --ca-file FILE   trust this private authority (PEM) in place of the public ones
#   --proxy URL      reach the server by this HTTP proxy
#   --reinstall      join anew with the token: an agent.toml that is there is replaced
#   --no-start       install, but neither enable nor start the service
#   --uninstall      remove the agent, its configuration, its identity and its service
#
# What is downloaded is checked before it is run: the manifest's signature against the release keys below, then
# the program's size and SHA-256 against the manifest. Run again it brings the program up to date and changes
# nothing else.
set -eu

# Everything is in functions, and the last line calls them: of a download that was cut off nothing is run.
server='@SERVER_URL@'
release_keys='@RELEASE_KEYS@'
program_dir=/usr/local/lib/gururmm
program=$program_dir/gururmm-agent
link=/usr/local/bin/gururmm-agent
config_dir=/etc/gururmm
config=$config_dir/agent.toml
state_dir=/var/lib/gururmm-agent
most_bytes=67108864

say() { printf '%s\n' "install: $*"; }
die() { printf '%s\n' "install: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# fetch PATH FILE MOST_BYTES
fetch() {
    if has curl; then
        set -- "$@" curl -fsSL --retry 3 --connect-timeout 20 --max-time 900 --max-filesize "$3"
        [ -z "$ca_file" ] || set -- "$@" --cacert "$ca_file"
        [ -z "$proxy" ] || set -- "$@" --proxy "$proxy"
        fetch_path=$1 fetch_file=$2
        shift 3
        "$@" -o "$fetch_file" "$server$fetch_path" || die "cannot download $server$fetch_path; see the line above"
    elif has wget; then
        set -- "$1" "$2" "$3" wget -q --tries=3 --timeout=20
        [ -z "$ca_file" ] || set -- "$@" --ca-certificate="$ca_file"
        [ -z "$proxy" ] || set -- "$@" -e use_proxy=on -e "http_proxy=$proxy" -e "https_proxy=$proxy"
        fetch_path=$1 fetch_file=$2
        shift 3
        "$@" -O "$fetch_file" "$server$fetch_path" || die "cannot download $server$fetch_path; does the server offer a release for this machine?"
    else
        die "curl or wget is needed; install one of them"
    fi
}

# A value of the manifest, which is one flat JSON object.
value() { sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\{0,1\}\([^",}]*\)"\{0,1\}.*/\1/p' "$work/manifest.flat" | head -n 1; }

# Ed25519 by openssl 3: the signature is of the manifest's BLAKE2b-512.
verified_by_openssl() {
    sed -n 2p "$work/signature" | openssl base64 -d -A >"$work/signature.bin" || return 1
    [ "$(head -c 2 "$work/signature.bin")" = ED ] || return 1
    tail -c 64 "$work/signature.bin" >"$work/signature.raw"
    openssl dgst -blake2b512 -binary "$work/manifest" >"$work/digest"
    {
        printf '\060\052\060\005\006\003\053\145\160\003\041\000'
        printf '%s' "$1" | openssl base64 -d -A | tail -c 32
    } >"$work/key.der"
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin \
        -in "$work/digest" -sigfile "$work/signature.raw" >/dev/null 2>&1
}

# The same by Python 3, where openssl is older (RFC 8032, section 6).
verified_by_python() {
    python3 -I - "$1" "$work/manifest" "$work/signature" <<'PYTHON'
import base64, hashlib, sys
p = 2**255 - 19
q = 2**252 + 27742317777372353535851937790883648493
d = -121665 * pow(121666, p - 2, p) % p
root = pow(2, (p - 1) // 4, p)

def add(a, b):
    A, B = (a[1] - a[0]) * (b[1] - b[0]) % p, (a[1] + a[0]) * (b[1] + b[0]) % p
    C, D = 2 * a[3] * b[3] * d % p, 2 * a[2] * b[2] % p
    E, F, G, H = B - A, D - C, D + C, B + A
    return (E * F, G * H, F * G, E * H)

def times(s, a):
    out = (0, 1, 1, 0)
    while s > 0:
        if s & 1:
            out = add(out, a)
        a, s = add(a, a), s >> 1
    return out

def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x2 = (y * y - 1) * pow(d * y * y + 1, p - 2, p)
    x = pow(x2, (p + 3) // 8, p)
    if (x * x - x2) % p:
        x = x * root % p
    if y >= p or (x * x - x2) % p:
        sys.exit(1)
    if x & 1 != sign:
        x = p - x
    return (x, y, 1, x * y % p)

y = 4 * pow(5, p - 2, p) % p
base = point((y).to_bytes(32, "little"))
key = base64.b64decode(sys.argv[1])[10:]
signature = base64.b64decode(open(sys.argv[3]).read().splitlines()[1])
if signature[:2] != b"ED" or len(signature) != 74 or len(key) != 32:
    sys.exit(1)
text = hashlib.blake2b(open(sys.argv[2], "rb").read()).digest()
r, s = signature[10:42], int.from_bytes(signature[42:], "little")
if s >= q:
    sys.exit(1)
h = int.from_bytes(hashlib.sha512(r + key + text).digest(), "little") % q
left, right = times(s, base), add(point(r), times(h, point(key)))
same = (left[0] * right[2] - right[0] * left[2]) % p == 0 and (left[1] * right[2] - right[1] * left[2]) % p == 0
sys.exit(0 if same else 1)
PYTHON
}

verify_signature() {
    [ -n "$release_keys" ] || die "this server knows no release key; build it with GURURMM_RELEASE_KEYS (docs/updates.md)"
    if has minisign; then
        way=minisign
    elif has openssl && openssl version | grep -q '^OpenSSL [3-9]'; then
        way=openssl
    elif has python3; then
        way=python
    else
        die "minisign, openssl 3 or python3 is needed to check the signature; install one of them"
    fi
    for key in $release_keys; do
        case $way in
        minisign) minisign -V -q -P "$key" -m "$work/manifest" -x "$work/signature" >/dev/null 2>&1 && return ;;
        openssl) verified_by_openssl "$key" && return ;;
        python) verified_by_python "$key" && return ;;
        esac
    done
    die "the signature of the release is not good; nothing was installed. Tell who runs the server"
}

download() {
    case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-amd64) platform=linux-x86_64 ;;
    Linux-aarch64 | Linux-arm64) platform=linux-aarch64 ;;
    *) die "there is no agent for $(uname -s) on $(uname -m)" ;;
    esac
    fetch "/api/install/$platform" "$work/manifest" 4096
    fetch "/api/install/$platform/signature" "$work/signature" 4096
    verify_signature
    tr -d '\n' <"$work/manifest" >"$work/manifest.flat"
    version=$(value version) size=$(value size) sha256=$(value sha256)
    [ "$(value platform)" = "$platform" ] || die "the server's release is for $(value platform) and this is $platform"
    # In UTC and of one form, so that they compare as text.
    expires=$(value expires_at)
    now=$(date -u +%Y-%m-%dT%H:%M:%S)
    first=$(printf '%s\n%s\n' "$now" "$expires" | LC_ALL=C sort | head -n 1)
    [ "$first" = "$now" ] || die "the release has expired ($expires); look at this machine's clock, or tell who runs the server"
    case $size in '' | *[!0-9]*) die "the manifest has no size" ;; esac
    [ "$size" -le "$most_bytes" ] || die "the release is too large ($size bytes)"
    if [ -x "$program" ] && [ "$(sha256sum "$program" | cut -d ' ' -f 1)" = "$sha256" ]; then
        say "version $version is installed already"
        return
    fi
    fetch "/api/install/$platform/program" "$work/program" "$size"
    [ "$(wc -c <"$work/program")" -eq "$size" ] || die "the download has another size than its manifest says"
    [ "$(sha256sum "$work/program" | cut -d ' ' -f 1)" = "$sha256" ] || die "the download is not what its manifest says"
    mkdir -p "$program_dir"
    # Beside its place, then there in one step: a program that runs cannot be written.
    cp "$work/program" "$program.new"
    chmod 755 "$program.new"
    "$program.new" --version >/dev/null || { rm -f "$program.new"; die "the agent does not run on this machine; see the line above"; }
    mv -f "$program.new" "$program"
    ln -sf "$program" "$link"
    say "installed version $version"
}

configure() {
    if [ -e "$config" ] && [ -z "$reinstall" ]; then
        say "$config is kept; --reinstall replaces it"
        return
    fi
    [ -n "$token" ] || die "--token is needed; the dashboard's Add device says it"
    set -- setup --config "$config" --server "$server" --state-dir "$state_dir"
    [ -z "$ca_file" ] || set -- "$@" --ca-file "$ca_file"
    [ -z "$proxy" ] || set -- "$@" --proxy "$proxy"
    [ -z "$reinstall" ] || set -- "$@" --replace
    # Not as an argument, which everybody on the machine can read.
    printf '%s\n' "$token" | "$program" "$@" --token-stdin
}

start() {
    has systemctl || die "there is no systemd here; start $program run --config $config by other means"
    "$program" service install --config "$config"
    say "waiting for the agent to reach $server"
    tries=0
    while [ $tries -lt 30 ]; do
        if "$program" status --config "$config" >"$work/status" 2>&1; then
            say "the agent is connected"
            return
        fi
        tries=$((tries + 1))
        sleep 1
    done
    cat "$work/status" >&2
    die "the agent runs, but has not reached its server yet; gururmm-agent doctor --config $config says why"
}

uninstall() {
    if [ -x "$program" ] && has systemctl; then
        "$program" service uninstall --purge --config "$config" || say "the service could not be removed, or there was none"
    fi
    rm -rf "$program_dir" "$link" "$state_dir"
    rm -f "$config" "$config_dir"/ca.pem
    rmdir "$config_dir" 2>/dev/null || :
    say "the agent is removed; delete the device in the dashboard to forget it there"
}

main() {
    token='' ca_file='' proxy='' reinstall='' start=yes remove=''
    while [ $# -gt 0 ]; do
        case $1 in
        --token | --server | --ca-file | --proxy)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
            --token) token=$2 ;;
            --server) server=${2%/} ;;
            --ca-file) ca_file=$2 ;;
            --proxy) proxy=$2 ;;
            esac
            shift 2
            ;;
        --reinstall) reinstall=yes && shift ;;
        --no-start) start='' && shift ;;
        --uninstall) remove=yes && shift ;;
        *) die "unknown: $1; one of --token --server --ca-file --proxy --reinstall --no-start --uninstall" ;;
        esac
    done
    [ "$(id -u)" -eq 0 ] || die "root is needed: … | sudo sh -s -- …"
    umask 022
    if [ -n "$remove" ]; then
        uninstall
        return
    fi
    if [ -n "$ca_file" ]; then
        [ -r "$ca_file" ] || die "cannot read $ca_file"
        ca_file=$(cd "$(dirname "$ca_file")" && pwd)/$(basename "$ca_file")
    fi
    # Nothing is taken from where this happens to be run.
    cd /
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    download
    configure
    [ -z "$start" ] || start
}

main "$@"
