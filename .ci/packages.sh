# Debian 12 packages that Klamm needs, and how they are installed; sourced by ./run and ./test.

build_packages="gcc libc6-dev meson ninja-build pkg-config python3 libevent-dev liblz4-dev libzstd-dev
libsnappy-dev zlib1g-dev libisal-dev libmimalloc-dev libjansson-dev libpcre2-dev libxxhash-dev"

test_packages="git ccache clang libclang-rt-14-dev libcmocka-dev librdkafka-dev kcat binutils procps
iproute2 python3-venv python3-confluent-kafka python3-kafka strace"

# install_packages LIST: installs what is missing, with sudo where not root.
install_packages() {
    missing=""
    for package in $1; do
        state=$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null) || state=""
        case "$state" in
        ii*) ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -z "$missing" ] && return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Klamm: these Debian packages are missing and there is no apt-get here:$missing" >&2
        return 1
    fi
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "Klamm: run this once as root, then try again: apt-get install$missing" >&2
            return 1
        fi
        as_root="sudo"
    fi
    echo "Klamm: installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    if ! $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
        $as_root apt-get update -qq >&2 || true
        if ! $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
            echo "Klamm: apt-get could not install:$missing" >&2
            return 1
        fi
    fi
}
