#!/bin/sh
# Makes assay_VERSION_ARCH.deb in the folder given (default: build-deb): the program, its unit and
# a commented configuration. Nothing is started by installing it.
set -eu
cd "$(dirname "$0")/.."
out=${1:-build-deb}
tree=$out/tree
[ -f "$out/meson/build.ninja" ] ||
    meson setup "$out/meson" --buildtype=release -Db_ndebug=false --prefix=/usr --sysconfdir=/etc
ninja -C "$out/meson"
version=$(meson introspect "$out/meson" --projectinfo |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])')
architecture=$(dpkg --print-architecture)
rm -rf "$tree"
DESTDIR="$PWD/$tree" meson install -C "$out/meson" --no-rebuild
mkdir -p "$tree/DEBIAN"
install -D -m 644 deploy/assay.service "$tree/lib/systemd/system/assay.service"
install -D -m 644 assay.yaml "$tree/etc/assay/assay.yaml"
install -D -m 644 LICENSE "$tree/usr/share/doc/assay/copyright"
echo /etc/assay/assay.yaml >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: assay
Version: $version
Architecture: $architecture
Maintainer: The Assay authors <maintainers@assay.invalid>
Section: net
Priority: optional
Depends: ca-certificates, libc6, libcurl4 (>= 7.88), libjansson4 (>= 2.14), libmicrohttpd12 (>= 0.9.75), librdkafka1 (>= 2.0), libsimdjson14 (>= 3.0), libsqlite3-0 (>= 3.40), libssl3, libstdc++6, libxxhash0 (>= 0.8.1), libyaml-0-2, zlib1g
Recommends: systemd
Description: monitoring and A/B tests of machine-learning models on Kafka
 Consumes predictions and labels from Kafka, keeps rolling metrics in SQLite,
 shows them on a page, over REST and as OpenMetrics, and decides rollouts.
CONTROL
dpkg-deb --root-owner-group --build "$tree" "$out/assay_${version}_${architecture}.deb"
