#!/usr/bin/env python3
"""The API's description against a running server: the document is OpenAPI 3.1 as far as its own
schemas go, every GET it lists answers with what its schema says, and so do refusals.

usage: check_api.py PAGE_SERVER
"""
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

try:
    import jsonschema
except ImportError:
    print("SKIP: python3-jsonschema is not installed")
    sys.exit(77)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read()


def validator(document, name):
    schema = {"$ref": f"#/components/schemas/{name}"}
    resolver = jsonschema.RefResolver("", document)
    return jsonschema.Draft202012Validator(schema, resolver=resolver)


def example_of(parameter):
    return parameter.get("example", "credit")


def check_get(base, document, path, operation):
    """Asks once with no parameter, once with all of their examples, once with a wrong one."""
    url = base + path.replace("{model}", "credit").replace("{version}", "v4").replace("{silence}", "1")
    query = {p["name"]: example_of(p) for p in operation["parameters"] if p["in"] == "query"}
    response = operation["responses"]["200"]["content"]
    asked = [{}] + ([query] if query else [])
    for parameters in asked:
        status, kind, body = get(url + "?" + urllib.parse.urlencode(parameters))
        if status == 404 and b"daemon" in body:
            continue  # served by a part of the daemon that this server has not
        if "{experiment}" in path and status in (400, 404):
            continue  # this server has no experiments
        assert status == 200, (url, parameters, status, body[:300])
        assert kind in response, (url, kind)
        if kind == "application/json" and "$ref" in response[kind]["schema"]:
            name = response[kind]["schema"]["$ref"].rsplit("/", 1)[1]
            validator(document, name).validate(json.loads(body))
    if operation["security"]:
        status, kind, body = get(url + "?no_such_parameter=1")
        assert (status, kind) == (400, "application/problem+json"), (url, status, kind)
        problem = json.loads(body)
        validator(document, "Problem").validate(problem)
        assert problem["field"] == "no_such_parameter"
    return len(asked)


def without_duplicates(pairs):
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return dict(pairs)


def check(base):
    status, _, body = get(base + "/api/v1/openapi.json")
    document = json.loads(body, object_pairs_hook=without_duplicates)
    assert status == 200 and document["openapi"].startswith("3.1")
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        for reference in json.dumps(schema).split('"$ref": "#/components/schemas/')[1:]:
            assert reference.split('"')[0] in document["components"]["schemas"], (name, reference)
    ids, asked = set(), 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"] not in ids, operation["operationId"]
            ids.add(operation["operationId"])
            captures = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert captures == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            if method == "get" and not path.endswith("/stream"):
                asked += check_get(base, document, path, operation)
    assert asked >= 15, asked
    print(f"{len(ids)} operations, {asked} answers as described")


def main(program):
    server = subprocess.Popen(
        [program, "--hours", "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        check(server.stdout.readline().strip())
    finally:
        server.stdin.close()
        server.wait(20)


if __name__ == "__main__":
    main(sys.argv[1])
