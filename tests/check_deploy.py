"""Checks what is shipped for containers: the Kubernetes file parses, its parts name each other, and its
configuration is one that `assay check` takes; the container and the package ask for the same libraries.

usage: check_deploy.py SOURCE PROGRAM     exit 77 (skipped) without PyYAML
"""

import glob
import os
import re
import subprocess
import sys
import tempfile


def load_yaml(source, path):
    try:
        import yaml
    except ImportError:
        for site in glob.glob(os.path.join(source, ".cache/venv/lib/python3*/site-packages")):
            sys.path.append(site)
        try:
            import yaml
        except ImportError:
            print("skip: no PyYAML; ./dev setup installs it")
            sys.exit(77)
    with open(path, encoding="utf-8") as file:
        return {part["kind"]: part for part in yaml.safe_load_all(file)}


def make_secrets(program, folder):
    """What a cluster would mount: tokens, a certificate and its key. `assay check` reads them as `serve` does."""
    tokens, cert, key = (os.path.join(folder, name) for name in ("tokens", "tls.crt", "tls.key"))
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=assay", "-keyout", key, "-out", cert]
    for command in ([program, "token", "new", "ann", "operate", "--file", tokens], made):
        subprocess.run(command, capture_output=True, check=True)
    return {"/etc/assay/secret/tokens": tokens, "/etc/assay/tls/tls.crt": cert, "/etc/assay/tls/tls.key": key}


def check_configuration(program, text):
    """`assay check` of the ConfigMap, with its files in a folder of ours."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "assay.yaml")
        for mounted, ours in make_secrets(program, folder).items():
            assert mounted in text, mounted
            text = text.replace(mounted, ours)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        done = subprocess.run([program, "check", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def check_kubernetes(source, program):
    parts = load_yaml(source, os.path.join(source, "deploy", "kubernetes", "assay.yaml"))
    assert sorted(parts) == ["ConfigMap", "Service", "StatefulSet"], sorted(parts)
    assert {part["metadata"]["name"] for part in parts.values()} == {"assay"}
    check_configuration(program, parts["ConfigMap"]["data"]["assay.yaml"])
    spec = parts["StatefulSet"]["spec"]
    pod, (container,) = spec["template"]["spec"], spec["template"]["spec"]["containers"]
    assert spec["replicas"] == 1, "one process writes the database"
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == parts["Service"]["spec"]["selector"]
    volumes = {volume["name"] for volume in pod["volumes"]} | {c["metadata"]["name"] for c in spec["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes, volumes
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listen = re.search(r"listen: \S+:(\d+)", parts["ConfigMap"]["data"]["assay.yaml"]).group(1)
    assert set(ports.values()) == {int(listen)}, ports
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    assert all(port["targetPort"] in ports for port in parts["Service"]["spec"]["ports"])
    for folder in re.findall(r"/etc/assay/\w+/|/var/lib/assay/", parts["ConfigMap"]["data"]["assay.yaml"]):
        assert folder.rstrip("/") in {mount["mountPath"] for mount in container["volumeMounts"]}, folder
    secure = container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] and secure["readOnlyRootFilesystem"] and secure["capabilities"] == {"drop": ["ALL"]}


def check_libraries(source):
    """What the container installs beside Debian's base is what the package depends on."""
    with open(os.path.join(source, "deploy", "Containerfile"), encoding="utf-8") as file:
        installed = set(re.findall(r"(?<=\s)lib[\w.-]+|ca-certificates|tzdata|zlib1g", file.read().split("FROM")[2]))
    with open(os.path.join(source, "deploy", "make-deb.sh"), encoding="utf-8") as file:
        depends = re.search(r"^Depends: (.*)$", file.read(), re.MULTILINE).group(1)
    wanted = {name.split()[0] for name in depends.split(", ")}
    base = {"libc6", "libstdc++6", "libgnutls30"}  # of the base, or of a library that is named
    assert installed == wanted - base, installed ^ (wanted - base)


def main():
    source, program = sys.argv[1:]
    check_kubernetes(source, program)
    check_libraries(source)
    print("deploy/ names what is there")


if __name__ == "__main__":
    main()
