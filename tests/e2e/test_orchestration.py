"""Stacks: the template language as a user meets it, the engine, the resource types."""
import textwrap

import pytest

from support import host, wait
from support.accounts import unique


@pytest.fixture
def stacks(stacks_of, demo):
    return stacks_of(demo)


def refused(stacks, template, status=400, **fields):
    """The message with which a template is refused."""
    return stacks.create(template, expect=(status,), **fields).json["error"]["message"]


# ---- language ----

def test_functions_parameters_conditions_outputs(stacks):
    name = stacks.deploy("""
        heat_template_version: rocky
        parameters:
          who: {type: string, default: world, constraints: [{length: {min: 3, max: 20}}]}
          count: {type: number, default: 2}
          tags: {type: comma_delimited_list, default: "a,b"}
          secret: {type: string, hidden: true, default: hush}
        conditions:
          many: {not: {equals: [{get_param: count}, 1]}}
        resources:
          greeting: {type: OS::Heat::Value, properties: {value: {str_replace: {template: "hello WHO", params: {WHO: {get_param: who}}}}}}
          extra: {type: OS::Heat::RandomString, condition: many, properties: {length: 12}}
          never: {type: OS::Heat::RandomString, condition: {not: many}}
        outputs:
          text: {value: {get_attr: [greeting, value]}}
          joined: {value: {list_join: ["-", {get_param: tags}, ["c"]]}}
          random: {value: {get_attr: [extra, value]}}
          repeated: {value: {repeat: {for_each: {"%p%": ["80", "443"]}, template: "port %p%"}}}
          chosen: {value: {if: [many, several, one]}}
          split: {value: {str_split: [",", "x,y", 1]}}
          digest: {value: {digest: [md5, abc]}}
          merged: {value: {map_merge: [{a: 1}, {b: 2}]}}
        """, parameters={"who": "clouds"})
    outputs = stacks.outputs(name)
    assert outputs["text"] == "hello clouds" and outputs["joined"] == "a-b-c" and len(outputs["random"]) == 12
    assert outputs["repeated"] == ["port 80", "port 443"] and outputs["chosen"] == "several" and outputs["split"] == "y"
    assert outputs["digest"] == "900150983cd24fb0d6963f7d28e17f72" and outputs["merged"] == {"a": 1, "b": 2}
    assert set(stacks.resources(name)) == {"greeting", "extra"}
    assert stacks.show(name)["parameters"]["secret"] == "******"


@pytest.mark.parametrize("template, words", [
    ("heat_template_version: rocky\nresources: {a: {type: 'OS::No::Such'}}", "OS::No::Such"),
    ("heat_template_version: 1999-01-01\nresources: {}", "1999-01-01"),
    ("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::None', depends_on: b}, b: {type: 'OS::Heat::None', depends_on: a}}", "Circular"),
    ("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::Value', properties: {value: {get_resource: zz}}}}", "zz"),
    ("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::Value', properties: {value: {get_param: zz}}}}", "zz"),
    ("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::RandomString', properties: {size: 5}}}", "size"),
    ("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::RandomString', properties: {length: 0}}}", "length"),
    ("heat_template_version: rocky\nparameters: {p: {type: string}}\nresources: {}", "p"),
    ("heat_template_version: rocky\nresourcez: {}", "resourcez"),
    ("- just\n- a list", ""),
    ("heat_template_version: rocky\nresources: {a: {type: [}", "")])
def test_bad_templates_are_refused_with_the_place(stacks, template, words):
    assert words in refused(stacks, template)


def test_yaml_bombs_are_refused_quickly(stacks):
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [
        f"a{n}: &a{n} [{', '.join(['*a%d' % (n - 1)] * 9)}]" for n in range(1, 12)]
    bomb = "heat_template_version: rocky\nresources:\n" + textwrap.indent("\n".join(levels), "  ")
    assert refused(stacks, bomb)
    assert refused(stacks, "heat_template_version: rocky\nresources: " + "[" * 5000 + "]" * 5000)


def test_validate_and_preview(stacks, demo):
    template = "heat_template_version: rocky\nparameters: {p: {type: number, default: 3, description: how many}}\n" \
               "resources: {a: {type: 'OS::Heat::None'}}"
    shown = demo.orchestration.post(f"/v1/{demo.project_id}/validate", {"template": template}, expect=(200,))
    assert shown["Parameters"]["p"]["Default"] == 3 and shown["Parameters"]["p"]["Description"] == "how many"
    preview = stacks.request("POST", "/preview", {"stack_name": unique("p"), "template": template}).expect(200)
    assert [row["resource_name"] for row in preview.json["stack"]["resources"]] == ["a"]
    assert stacks.request("GET").json["stacks"] == []


# ---- engine ----

def test_dependencies_order_the_events(stacks):
    name = stacks.deploy("""
        heat_template_version: rocky
        resources:
          last: {type: OS::Heat::None, depends_on: [middle]}
          first: {type: OS::Heat::RandomString}
          middle: {type: OS::Heat::Value, properties: {value: {get_attr: [first, value]}}}
        """)
    events = stacks.request("GET", f"/{name}/{stacks.made[name]}/events").expect(200).json["events"]
    complete = [row["resource_name"] for row in events if row["resource_status"] == "CREATE_COMPLETE" and row["resource_name"] != name]
    assert complete == ["last", "middle", "first"], "newest first"


def test_update_in_place_and_by_replacement(stacks):
    template = """
        heat_template_version: rocky
        parameters: {{given: {{type: string, default: {value}}}}}
        resources:
          kept: {{type: OS::Heat::RandomString, properties: {{length: 8}}}}
          value: {{type: OS::Heat::Value, properties: {{value: {{get_param: given}}}}}}
          random: {{type: OS::Heat::RandomString, properties: {{length: {length}}}}}
        outputs:
          kept: {{value: {{get_attr: [kept, value]}}}}
          value: {{value: {{get_attr: [value, value]}}}}
          random: {{value: {{get_attr: [random, value]}}}}
        """
    name = stacks.deploy(template.format(value="one", length=8))
    before, physical = stacks.outputs(name), stacks.resources(name)
    stacks.update(name, template.format(value="two", length=9))
    stacks.wait(name, "UPDATE_COMPLETE")
    after, changed = stacks.outputs(name), stacks.resources(name)
    assert after["value"] == "two" and after["kept"] == before["kept"] and len(after["random"]) == 9
    assert changed["kept"]["physical_resource_id"] == physical["kept"]["physical_resource_id"]
    assert changed["random"]["physical_resource_id"] != physical["random"]["physical_resource_id"]


def test_failure_is_explained_and_rolled_back(stacks):
    template = """
        heat_template_version: rocky
        resources:
          fine: {type: OS::Heat::None}
          bad: {type: OS::Heat::TestResource, depends_on: fine, properties: {value: x, fail: true}}
        """
    name = stacks.create(template)
    reason = stacks.wait(name, "CREATE_FAILED")["stack_status_reason"]
    assert "bad" in reason
    name = stacks.create(template, disable_rollback=False)
    stacks.wait(name, "ROLLBACK_COMPLETE")


def test_failed_update_rolls_back(stacks):
    good = "heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::TestResource', properties: {value: old}}}\n" \
           "outputs: {o: {value: {get_attr: [a, output]}}}"
    bad = good.replace("value: old", "value: new, fail: true")
    name = stacks.deploy(good)
    stacks.update(name, bad, disable_rollback=False)
    stacks.wait(name, "ROLLBACK_COMPLETE")
    assert stacks.outputs(name)["o"] == "old"


def test_a_timeout_fails_the_stack(stacks):
    name = stacks.create("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::TestResource', "
                         "properties: {value: x, action_wait_secs: {create: 600}}}}", timeout_mins=1)
    stacks.wait(name, "CREATE_FAILED", timeout=120)


def test_deletion_policy_retain(stacks, demo, networks_of):
    name = stacks.deploy("""
        heat_template_version: rocky
        resources:
          net: {type: OS::Neutron::Net, deletion_policy: Retain}
        """)
    network = stacks.resources(name)["net"]["physical_resource_id"]
    stacks.delete(name)
    demo.network.get(f"/v2.0/networks/{network}")
    demo.network.delete(f"/v2.0/networks/{network}")


def test_a_name_is_taken_once(stacks):
    name = stacks.deploy("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::None'}}")
    message = refused(stacks, "heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::None'}}", 409, name=name)
    assert name in message


def test_a_hundred_resources(stacks):
    resources = {f"r{n}": {"type": "OS::Heat::RandomString", **({"depends_on": f"r{n // 2}"} if n else {})} for n in range(100)}
    name = stacks.deploy({"heat_template_version": "rocky", "resources": resources})
    assert len(stacks.resources(name)) == 100


# ---- nesting ----

def test_resource_group_and_template_resource(stacks):
    child = "heat_template_version: rocky\nparameters: {n: {type: number}}\nresources: {v: {type: 'OS::Heat::Value', " \
            "properties: {value: {get_param: n}}}}\noutputs: {n: {value: {get_attr: [v, value]}}}"
    name = stacks.deploy("""
        heat_template_version: rocky
        resources:
          many:
            type: OS::Heat::ResourceGroup
            properties: {count: 3, resource_def: {type: child.yaml, properties: {n: "%index%"}}}
        outputs:
          all: {value: {get_attr: [many, n]}}
          second: {value: {get_attr: [many, resource.1.n]}}
        """, files={"child.yaml": child})
    outputs = stacks.outputs(name)
    assert [str(value) for value in outputs["all"]] == ["0", "1", "2"] and str(outputs["second"]) == "1"
    nested = stacks.request("GET", f"/{name}/{stacks.made[name]}/resources?nested_depth=2").json["resources"]
    assert len([row for row in nested if row["resource_type"] == "OS::Heat::Value"]) == 3


def test_environment_maps_a_type_and_gives_parameters(stacks):
    name = stacks.deploy("""
        heat_template_version: rocky
        parameters: {p: {type: string}}
        resources: {mine: {type: My::Own, properties: {q: {get_param: p}}}}
        outputs: {o: {value: {get_attr: [mine, r]}}}
        """, environment={"parameters": {"p": "from environment"}, "resource_registry": {"My::Own": "own.yaml"}},
        files={"own.yaml": "heat_template_version: rocky\nparameters: {q: {type: string}}\nresources: {}\n"
                           "outputs: {r: {value: {get_param: q}}}"})
    assert stacks.outputs(name)["o"] == "from environment"


# ---- the types that make things ----

NETWORK = """
    heat_template_version: rocky
    resources:
      net: {type: OS::Neutron::Net, properties: {name: from-a-stack}}
      subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.70.0.0/24}}
      router: {type: OS::Neutron::Router, properties: {external_gateway_info: {network: ext-net}}}
      interface: {type: OS::Neutron::RouterInterface, properties: {router: {get_resource: router}, subnet: {get_resource: subnet}}}
      group: {type: OS::Neutron::SecurityGroup, properties: {rules: [{protocol: tcp, port_range_min: 80, port_range_max: 80}]}}
      rule: {type: OS::Neutron::SecurityGroupRule, properties: {security_group: {get_resource: group}, protocol: icmp}}
      port: {type: OS::Neutron::Port, properties: {network: {get_resource: net}, security_groups: [{get_resource: group}],
             fixed_ips: [{subnet: {get_resource: subnet}}]}}
      web:
        type: OS::Zun::Container
        properties: {image: "nginx:latest", networks: [{port: {get_resource: port}}], cpu: 0.2, memory: 128}
      public: {type: OS::Neutron::FloatingIP, properties: {floating_network: ext-net}}
      bound:
        type: OS::Neutron::FloatingIPAssociation
        depends_on: interface
        properties: {floatingip_id: {get_resource: public}, port_id: {get_resource: port}}
    outputs:
      address: {value: {get_attr: [public, floating_ip_address]}}
    """


def test_a_web_server_with_its_own_network_and_public_address(stacks):
    name = stacks.deploy(NETWORK)
    address = stacks.outputs(name)["address"]
    wait.until(lambda: host.reachable(address, 80), 30)
    assert host.reachable(address)
    web = stacks.resources(name)["web"]["physical_resource_id"]
    # cpu and memory are changed in place, the image by replacement.
    stacks.update(name, NETWORK.replace("memory: 128", "memory: 160"))
    stacks.wait(name, "UPDATE_COMPLETE")
    assert stacks.resources(name)["web"]["physical_resource_id"] == web
    assert host.inspect(web)["HostConfig"]["Memory"] == 160 * 1024 * 1024


def test_keystone_types_for_the_administrator(admin, stacks_of):
    stacks = stacks_of(admin)
    user = unique("heat-user")
    name = stacks.deploy(f"""
        heat_template_version: rocky
        resources:
          role: {{type: OS::Keystone::Role, properties: {{name: {user}-role}}}}
          project: {{type: OS::Keystone::Project, properties: {{name: {user}-project}}}}
          user:
            type: OS::Keystone::User
            properties:
              name: {user}
              password: secret
              roles: [{{role: {{get_resource: role}}, project: {{get_resource: project}}}}]
        """)
    made = stacks.resources(name)
    assert admin.identity.get(f"/v3/users?name={user}")["users"][0]["id"] == made["user"]["physical_resource_id"]
    grants = admin.identity.get(f"/v3/role_assignments?user.id={made['user']['physical_resource_id']}")["role_assignments"]
    assert [row["role"]["id"] for row in grants] == [made["role"]["physical_resource_id"]]
    stacks.delete(name)
    assert admin.identity.get(f"/v3/users?name={user}")["users"] == []


def test_a_failing_container_fails_the_stack_with_its_reason(stacks):
    name = stacks.create("heat_template_version: rocky\nresources: {c: {type: 'OS::Zun::Container', properties: {image: 'no-such-image:x'}}}")
    assert "no-such-image" in stacks.wait(name, "CREATE_FAILED", timeout=180)["stack_status_reason"]


def test_stacks_of_other_projects_are_not_there(stacks, other):
    name = stacks.deploy("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::None'}}")
    root = f"/v1/{other.project_id}/stacks"
    assert other.orchestration.get(root)["stacks"] == []
    other.orchestration.request("GET", f"{root}/{name}/{stacks.made[name]}").expect(404)
    other.orchestration.request("GET", f"/v1/{stacks.account.project_id}/stacks").expect(403)


def test_the_command_shows_a_stack(stacks, demo):
    name = stacks.deploy("heat_template_version: rocky\nresources: {a: {type: 'OS::Heat::None'}}\noutputs: {o: {value: 5}}")
    assert name in demo.openstack("stack", "list", "-f", "value", "-c", "Stack Name")
    assert "a" in demo.openstack("stack", "resource", "list", name, "-f", "value")
    assert "CREATE_COMPLETE" in demo.openstack("stack", "event", "list", name)
    assert "heat_template_version" in demo.openstack("stack", "template", "show", name)
    demo.openstack("stack", "check", "--wait", name)
