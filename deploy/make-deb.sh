#!/bin/sh
# Makes assay_VERSION_ARCH.deb in the folder given (default: build-deb): the program, its unit and
# a commented configuration. Nothing is started by installing it.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-build-deb}"
out=$(cd "${1:-build-deb}" && pwd)
tree=$out/tree
[ -f "$out/meson/build.ninja" ] ||
    meson setup "$out/meson" --buildtype=release -Db_ndebug=false --prefix=/usr --sysconfdir=/etc
ninja -C "$out/meson" cli/assay # tests and benches are not in the package
version=$(meson introspect "$out/meson" --projectinfo |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["version"])')
architecture=$(dpkg --print-architecture)
rm -rf "$tree"
DESTDIR="$tree" meson install -C "$out/meson" --no-rebuild
mkdir -p "$tree/DEBIAN"
install -D -m 644 deploy/assay.service "$tree/lib/systemd/system/assay.service"
install -D -m 644 assay.yaml "$tree/etc/assay/assay.yaml"
install -D -m 644 deploy/prometheus/assay-rules.yml "$tree/usr/share/doc/assay/assay-rules.yml"
python3 deploy/sbom.py "$tree/usr/bin/assay" "$version" >"$tree/usr/share/doc/assay/sbom.cdx.json"
install -D -m 644 LICENSE "$tree/usr/share/doc/assay/copyright"
echo /etc/assay/assay.yaml >"$tree/DEBIAN/conffiles"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: assay
Version: $version
Architecture: $architecture
Maintainer: The Assay authors <maintainers@assay.invalid>
Section: net
Priority: optional
Depends: ca-certificates, libc6, libcurl4 (>= 7.88.1-10+deb12u15), libgnutls30 (>= 3.7.9-2+deb12u7), libjansson4 (>= 2.14), libmicrohttpd12 (>= 0.9.75-6), librdkafka1 (>= 2.0), libsimdjson14 (>= 3.0), libsqlite3-0 (>= 3.40.1-2+deb12u2), libssl3, libstdc++6, libxxhash0 (>= 0.8.1), libyaml-0-2, tzdata, zlib1g
Recommends: systemd
Description: monitoring and A/B tests of machine-learning models on Kafka
 Consumes predictions and labels from Kafka, keeps rolling metrics in SQLite,
 shows them on a page, over REST and as OpenMetrics, and decides rollouts.
CONTROL
dpkg-deb --root-owner-group --build "$tree" "$out/assay_${version}_${architecture}.deb"
