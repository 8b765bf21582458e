"""A stand-in for Harbor: its tokens, projects, robot accounts, quotas, immutable tags, labels and blocked pulls, with the error
bodies that it documents (API v2.0, and the errors of its middleware for /v2/). The registry behind it is in memory."""

import base64
import fnmatch
import json
import re
import secrets
import urllib.parse

from scripted import Scripted

ADMIN = ("admin", "Harbor12345")  # no secret: what its documentation calls the default, for this server only


def error(code, message):
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


class Harbor(Scripted):
    """`seen` has the requests. Everything is set up over /api/v2.0, by call(); members of a project are not modelled."""

    def __init__(self):
        super().__init__(referrers=True)
        self.projects, self.robots, self.tokens, self.labels = {}, {}, {}, {}

    # What an administrator does.

    def call(self, method, path, body=None, user=ADMIN):
        """Status and JSON of a request to the API."""
        import http.client
        connection = http.client.HTTPConnection(*self.host.split(":"))
        basic = base64.b64encode(":".join(user).encode()).decode()
        connection.request(method, "/api/v2.0" + path, json.dumps(body) if body is not None else None,
                           {"Authorization": "Basic " + basic, "Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, json.loads(data) if data else None

    # /service/token and /v2/

    def user_of(self, h):
        scheme, _, value = h.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        name, _, secret = base64.b64decode(value).decode().partition(":")
        if (name, secret) == ADMIN:
            return name
        return name if self.robots.get(name, {}).get("secret") == secret else None

    def actions(self, user, repository):
        project = self.projects.get(repository.split("/")[0])
        if project is None:
            return set()
        public = {"pull"} if project["metadata"].get("public") == "true" else set()
        if user == ADMIN[0]:
            return {"pull", "push"}
        for permission in self.robots.get(user, {}).get("permissions", []):
            if permission["namespace"] == project["name"]:
                public |= {one["action"] for one in permission["access"] if one["resource"] == "repository"}
        return public

    def give_token(self, h, query):
        user = self.user_of(h)
        if h.headers.get("Authorization") and user is None:
            return h.say(401, {}, error("UNAUTHORIZED", "authentication failed"))
        access = {}
        for scope in query.get("scope", []):
            _, name, actions = scope.split(":")
            access[name] = set(actions.split(",")) & self.actions(user, name)
        token = secrets.token_hex(16)
        self.tokens[token] = access
        return h.say(200, {}, json.dumps({"token": token, "expires_in": 1800}).encode())

    def serve(self, h):
        path, _, query = h.path.partition("?")
        if path == "/service/token":
            return self.give_token(h, urllib.parse.parse_qs(query))
        if path.startswith("/api/v2.0/"):
            return self.api(h, path.removeprefix("/api/v2.0"))
        token = h.headers.get("Authorization", "").removeprefix("Bearer ")
        match = re.fullmatch(r"/v2/(.+?)/(?:blobs|manifests|referrers|tags)/.+", path)
        action = "pull" if h.command in ("GET", "HEAD") else "push"
        scope = f',scope="repository:{match[1]}:{action}"' if match else ""
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{self.host}/service/token",service="harbor-registry"{scope}'}
        if token not in self.tokens:
            return self.refuse(h, 401, "UNAUTHORIZED", "unauthorized: unauthorized", challenge)
        if match is None:
            return super().serve(h)
        repository = match[1]
        project = self.projects.get(repository.split("/")[0])
        if project is None and self.tokens[token] and "/" in repository:
            return self.refuse(h, 404, "NOT_FOUND", f"project {repository.split('/')[0]} not found")
        if action not in self.tokens[token].get(repository, set()):
            why = f"unauthorized to access repository: {repository}, action: {action}"
            return self.refuse(h, 401, "UNAUTHORIZED", f"{why}: {why}", challenge)
        return self.held_back(h, project, repository, path) or super().serve(h)

    def refuse(self, h, status, code, message, headers=()):
        h.body()
        h.say(status, headers, error(code, message))
        return True

    def held_back(self, h, project, repository, path):
        """What the middleware of a project refuses."""
        manifest = re.fullmatch(r"/v2/.+/manifests/(.+)", path)
        size = int(h.headers.get("Content-Length", 0))
        if h.command == "PUT" and "registry_id" in project:
            return self.refuse(h, 405, "METHOD_NOT_ALLOWED", f"can not push artifact to a proxy project: \"{project['name']}\"")
        if h.command in ("PUT", "PATCH") and project["limit"] >= 0 and project["used"] + size > project["limit"]:
            return self.refuse(h, 403, "DENIED", f"adding {size / 2**20:.1f} MiB of storage resource, which when updated to current "
                               f"usage of {project['used'] / 2**20:.1f} MiB will exceed the configured upper limit of "
                               f"{project['limit'] / 2**20:.1f} MiB.")
        if h.command in ("PUT", "PATCH"):
            project["used"] += size
        if manifest and h.command == "PUT" and (repository, manifest[1]) in self.manifests:
            for rule in project["rules"]:
                tags = any(fnmatch.fnmatchcase(manifest[1], one["pattern"]) for one in rule["tag_selectors"])
                names = any(fnmatch.fnmatchcase(repository.split("/", 1)[1], one["pattern"])
                            for one in rule["scope_selectors"]["repository"])
                if tags and names:
                    return self.refuse(h, 412, "PRECONDITION", f"Failed to process request due to '{repository.split('/', 1)[1]}:"
                                       f"{manifest[1]}' configured as immutable.")
        # Only what is pulled to be run: signatures and documents of an image are not looked at.
        kind = self.manifests.get((repository, manifest[1]), (b"{}", ""))[0] if manifest else b"{}"
        if manifest and h.command == "GET" and "subject" not in json.loads(kind) and kind != b"{}":
            return self.policy(h, project, manifest[1])
        return None

    def policy(self, h, project, _name):
        settings = project["metadata"]
        if settings.get("enable_content_trust_cosign") == "true":
            return self.refuse(h, 412, "PROJECTPOLICYVIOLATION", "The image is not signed by cosign.")
        if settings.get("prevent_vul") == "true":
            severity = settings.get("severity", "low").capitalize()
            if not project.get("scanned"):
                return self.refuse(h, 412, "PROJECTPOLICYVIOLATION", "current image without vulnerability scanning cannot be pulled "
                                   f"due to configured policy in 'Prevent images with vulnerability severity of \"{severity}\" or "
                                   "higher from running.'")
            return self.refuse(h, 412, "PROJECTPOLICYVIOLATION", "current image with 3 vulnerabilities cannot be pulled due to "
                               f"configured policy in 'Prevent images with vulnerability severity of \"{severity}\" or higher from "
                               "running.' To continue with pull, please contact your project administrator to exempt matched "
                               "vulnerabilities through configuring the CVE allowlist.")
        return None

    # /api/v2.0

    def api(self, h, path):
        body = json.loads(h.body() or b"null")
        if path == "/systeminfo" and h.command == "GET":
            return h.say(200, {}, json.dumps({"auth_mode": "db_auth", "harbor_version": "v2.12.0"}).encode())
        if self.user_of(h) != ADMIN[0]:
            return h.say(401, {}, error("UNAUTHORIZED", "unauthorized"))
        if path == "/projects" and h.command == "POST":
            name = body["project_name"]
            if name in self.projects:
                return h.say(409, {}, error("CONFLICT", f"The project named {name} already exists"))
            self.projects[name] = {"name": name, "metadata": body.get("metadata", {}), "limit": body.get("storage_limit", -1),
                                   "used": 0, "rules": [], **({"registry_id": body["registry_id"]} if "registry_id" in body else {})}
            return h.say(201, {"Location": f"/api/v2.0/projects/{len(self.projects)}"})
        if path == "/robots" and h.command == "POST":
            project = body["permissions"][0]["namespace"]
            name = f"robot${project}+{body['name']}" if body["level"] == "project" else f"robot${body['name']}"
            self.robots[name] = {"secret": secrets.token_urlsafe(24), "permissions": body["permissions"]}
            return h.say(201, {}, json.dumps({"name": name, "secret": self.robots[name]["secret"], "id": len(self.robots)}).encode())
        if match := re.fullmatch(r"/projects/([^/]+)(/immutabletagrules|/metadatas)?", path):
            return self.project_api(h, self.projects.get(match[1]), match[2], body)
        if match := re.fullmatch(r"/projects/([^/]+)/repositories/([^/]+)/artifacts/([^/]+)(/labels)?", path):
            return self.artifact_api(h, match, body)
        return h.say(404, {}, error("NOT_FOUND", f"{path} not found"))

    def project_api(self, h, project, part, body):
        if project is None:
            return h.say(404, {}, error("NOT_FOUND", "project not found"))
        if part == "/immutabletagrules" and h.command == "POST":
            project["rules"].append(body)
            return h.say(201)
        if part == "/metadatas" and h.command == "POST":
            project["metadata"].update(body)
            return h.say(200)
        if part is None and h.command == "PUT":
            project["metadata"].update(body.get("metadata", {}))
            return h.say(200)
        return h.say(200, {}, json.dumps({key: project[key] for key in ("name", "metadata")}).encode())

    def artifact_api(self, h, match, body):
        repository = f"{match[1]}/{urllib.parse.unquote(urllib.parse.unquote(match[2]))}"
        found = self.manifests.get((repository, match[3]))
        if found is None:
            return h.say(404, {}, error("NOT_FOUND", f"artifact {repository}:{match[3]} not found"))
        labels = self.labels.setdefault((repository, match[3]), [])
        if match[4] and h.command == "POST":
            labels.append(body["id"])
            return h.say(200)
        return h.say(200, {}, json.dumps({"labels": [{"id": one} for one in labels], "type": "IMAGE"}).encode())
