"""The image service: images and their data, as the command and the SDK use them."""
import hashlib
import os

import pytest

from support.accounts import unique

DATA = os.urandom(200_000)


@pytest.fixture
def image(tenant):
    """A queued image of the tenant."""
    made = tenant.image.post("/v2/images", {"name": unique("image"), "container_format": "bare", "disk_format": "raw"}, expect=(201,))
    yield made
    tenant.image.delete(f"/v2/images/{made['id']}", expect=(204, 404))


def upload(account, image, data, expect=204):
    answer = account.image.request("PUT", f"/v2/images/{image['id']}/file", data=data, headers={"Content-Type": "application/octet-stream"})
    return answer.expect(expect)


def test_data_comes_back_as_it_went_in(tenant, image):
    assert image["status"] == "queued"
    upload(tenant, image, DATA)
    shown = tenant.image.get(f"/v2/images/{image['id']}")
    assert shown["status"] == "active" and shown["size"] == len(DATA)
    assert shown["os_hash_algo"] == "sha512" and shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    answer = tenant.image.request("GET", f"/v2/images/{image['id']}/file").expect(200)
    assert answer.response.content == DATA
    upload(tenant, image, b"again", expect=409)


def test_properties_are_patched(tenant, image):
    path = f"/v2/images/{image['id']}"
    patch = [{"op": "replace", "path": "/name", "value": "renamed"}, {"op": "add", "path": "/flavour", "value": "sweet"}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    shown = tenant.image.patch(path, patch, headers=headers)
    assert shown["name"] == "renamed" and shown["flavour"] == "sweet"
    tenant.image.request("PATCH", path, [{"op": "replace", "path": "/id", "value": "x"}], headers=headers).expect(403)


def test_others_do_not_see_a_private_image_until_it_is_shared(tenant, other, image):
    path = f"/v2/images/{image['id']}"
    other.image.request("GET", path).expect(404)
    tenant.image.post(f"{path}/members", {"member": other.project_id})
    other.image.get(path)
    other.image.put(f"{path}/members/{tenant.project_id}", {"status": "accepted"}, expect=(403, 404))
    other.image.put(f"{path}/members/{other.project_id}", {"status": "accepted"})
    assert image["id"] in [row["id"] for row in other.image.get("/v2/images?visibility=shared")["images"]]
    other.image.request("DELETE", path).expect(403)


def test_a_member_does_not_publish(tenant):
    body = {"name": "x", "container_format": "bare", "disk_format": "raw", "visibility": "public"}
    tenant.image.request("POST", "/v2/images", body).expect(403)


def test_bad_images_are_refused(tenant):
    for body in ({"disk_format": "nonsense"}, {"container_format": 5}, {"id": "not a uuid"}, {"name": "x" * 300}, {"min_ram": -1}, []):
        tenant.image.request("POST", "/v2/images", body).expect(400)


def test_lists_filter_sort_and_page(tenant):
    names = sorted(unique("listed") for _ in range(3))
    ids = [tenant.image.post("/v2/images", {"name": name})["id"] for name in names]
    try:
        page = tenant.image.get("/v2/images?owner=" + tenant.project_id + "&sort=name:asc&limit=2")
        assert [row["name"] for row in page["images"]] == names[:2]
        assert [row["name"] for row in tenant.image.get(page["next"])["images"]] == names[2:]
        assert [row["id"] for row in tenant.image.get(f"/v2/images?name={names[1]}")["images"]] == [ids[1]]
    finally:
        for one in ids:
            tenant.image.delete(f"/v2/images/{one}")


def test_the_command_saves_what_it_created(tenant, tmp_path):
    given, saved, name = tmp_path / "given", tmp_path / "saved", unique("cli")
    given.write_bytes(DATA)
    try:
        tenant.openstack("image", "create", "--file", given, "--disk-format", "raw", "--container-format", "bare", name)
        assert tenant.openstack("image", "show", "-f", "json", name)["status"] == "active"
        tenant.openstack("image", "save", "--file", saved, name)
        assert saved.read_bytes() == DATA
    finally:
        tenant.command("image", "delete", name)
