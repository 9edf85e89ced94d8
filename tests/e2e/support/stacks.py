"""Stacks through the orchestration API."""
import textwrap

from . import wait
from .accounts import unique


class Stacks:
    def __init__(self, account):
        self.account = account
        self.made = {}

    @property
    def root(self):
        return f"/v1/{self.account.project_id}/stacks"

    def request(self, method, path="", body=None):
        return self.account.orchestration.request(method, self.root + path, body)

    def create(self, template, name=None, expect=(201,), **fields):
        """Starts a stack; TEMPLATE is text (indented as the test is) or an object. Returns its name."""
        name = name or unique("stack")
        if isinstance(template, str):
            template = textwrap.dedent(template)
        answer = self.request("POST", "", {"stack_name": name, "template": template, "timeout_mins": 10, **fields})
        answer.expect(*expect)
        if answer.status == 201:
            self.made[name] = answer.json["stack"]["id"]
        return name if answer.status == 201 else answer

    def update(self, name, template, **fields):
        if isinstance(template, str):
            template = textwrap.dedent(template)
        self.request("PUT", f"/{name}/{self.made[name]}", {"template": template, "timeout_mins": 10, **fields}).expect(202)

    def show(self, name):
        return self.request("GET", f"/{name}/{self.made[name]}").expect(200).json["stack"]

    def wait(self, name, status="CREATE_COMPLETE", timeout=120):
        def done():
            stack = self.show(name)
            return None if stack["stack_status"].endswith("IN_PROGRESS") else stack
        stack = wait.until(done, timeout, 0.2, f"the end of work on stack {name}")
        assert stack["stack_status"] == status, f"{stack['stack_status']}: {stack['stack_status_reason']}"
        return stack

    def deploy(self, template, **fields):
        name = self.create(template, **fields)
        self.wait(name)
        return name

    def outputs(self, name):
        return {output["output_key"]: output.get("output_value") for output in self.show(name)["outputs"]}

    def resources(self, name, query=""):
        found = self.request("GET", f"/{name}/{self.made[name]}/resources{query}").expect(200).json["resources"]
        return {resource["resource_name"]: resource for resource in found}

    def delete(self, name, timeout=120):
        identity = self.made.pop(name)
        self.request("DELETE", f"/{name}/{identity}").expect(204)

        def gone():
            answer = self.request("GET", f"/{name}/{identity}")
            if answer.status == 404:
                return True
            stack = answer.expect(200).json["stack"]
            if stack["stack_status"] == "DELETE_FAILED":
                raise RuntimeError(stack["stack_status_reason"])
            return stack["stack_status"] == "DELETE_COMPLETE"
        wait.until(gone, timeout, 0.2, f"removal of stack {name}")

    def clean(self):
        for name in list(self.made):
            self.delete(name)
