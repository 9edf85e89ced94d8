"""The WordPress application as a person uses it: its installer's form, its front page, a post."""
import http.client
import urllib.error
import urllib.parse
import urllib.request
import xml.parsers.expat
import xmlrpc.client

from . import wait

ADMIN = "editor"
PASSWORD = "correct horse battery"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


def fetch(url, data=None, follow=True, timeout=20):
    """(status, location, text) of one request; connection faults are OSError."""
    body = urllib.parse.urlencode(data).encode() if data is not None else None
    try:
        with (_opener if follow else _direct).open(url, body, timeout=timeout) as answer:
            return answer.status, None, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location"), error.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error


def wait_for_installer(url, timeout=90):
    """Until the page leads to the installer, which it does once the database answers."""
    def ready():
        status, location, _ = fetch(url, follow=False, timeout=5)
        return status == 302 and location and "install.php" in location
    wait.until(ready, timeout, 0.3, f"the WordPress installer at {url}")
    status, _, text = fetch(url + "wp-admin/install.php")
    assert status == 200 and "admin_password" in text, text[:300]


def install(url, title):
    """Fills in the installer's form and checks that the front page then shows the title."""
    status, _, text = fetch(url + "wp-admin/install.php?step=2", {
        "weblog_title": title, "user_name": ADMIN, "admin_password": PASSWORD, "admin_password2": PASSWORD,
        "pw_weak": "on", "admin_email": "editor@example.org", "blog_public": "0", "language": ""}, timeout=90)
    assert status == 200 and "Success!" in text, text[:600]
    front_page(url, title)


def front_page(url, title):
    status, _, text = fetch(url)
    assert status == 200 and title in text, (status, text[:300])
    return text


def write_post(url, title, text):
    """Publishes a post the way an editing program does; returns its id."""
    server = xmlrpc.client.ServerProxy(url + "xmlrpc.php")
    return server.wp.newPost(0, ADMIN, PASSWORD, {
        "post_type": "post", "post_status": "publish", "post_title": title, "post_content": text})


def read_post(url, post_id):
    """(title, text) of a post, from the database; OSError while server or database are not there."""
    try:
        post = xmlrpc.client.ServerProxy(url + "xmlrpc.php").wp.getPost(0, ADMIN, PASSWORD, post_id)
    except (xmlrpc.client.Error, xml.parsers.expat.ExpatError, http.client.HTTPException) as error:
        raise OSError(f"no post yet: {error}") from error
    return post["post_title"], post["post_content"]
