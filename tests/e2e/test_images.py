"""The example images behave like the official ones for the settings that these document. Needs Docker, no cloud."""
import json
import subprocess
import uuid

import pytest

from support import wait, wordpress


def docker(*arguments, check=True):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def network():
    name = "images-" + uuid.uuid4().hex[:8]
    docker("network", "create", name)
    containers = []

    class Network:
        def run(self, *arguments, image):
            container = docker("run", "-d", "--network", name, *arguments, image)
            containers.append(container)
            return container

        def address(self, container):
            inspected = json.loads(docker("inspect", container))[0]
            return inspected["NetworkSettings"]["Networks"][name]["IPAddress"]

    yield Network()
    for container in containers:
        docker("rm", "-f", "-v", container, check=False)
    docker("network", "rm", name)


def test_wordpress_installs_against_mysql(network):
    network.run("--name", "images-db", "-e", "MYSQL_ROOT_PASSWORD=secret", "-e", "MYSQL_DATABASE=wordpress", image="mysql:5.7")
    site = network.run("-e", "WORDPRESS_DB_HOST=images-db", "-e", "WORDPRESS_DB_USER=root",
                       "-e", "WORDPRESS_DB_PASSWORD=secret", image="wordpress:latest")
    url = f"http://{network.address(site)}/"
    wordpress.wait_for_installer(url)
    wordpress.install(url, "Clouds over Debian")
    post = wordpress.write_post(url, "Hello", "written through XML-RPC")
    docker("restart", "images-db", site)
    assert wait.until(lambda: wordpress.read_post(url, post)) == ("Hello", "written through XML-RPC")


def query(container, password, sql, user="root"):
    done = subprocess.run(["docker", "exec", "-e", f"MYSQL_PWD={password}", container, "mysql", "-h127.0.0.1",
                           f"-u{user}", "-N", "-e", sql], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_mysql_user_database_and_awkward_password(network):
    password = r"a'b\c`d $e"
    container = network.run("-e", "MYSQL_RANDOM_ROOT_PASSWORD=yes", "-e", "MYSQL_DATABASE=shop", "-e", "MYSQL_USER=clerk",
                            "-e", f"MYSQL_PASSWORD={password}", image="mysql:5.7")
    wait.until(lambda: query(container, password, "SELECT 1", "clerk") == ["1"], 30)
    assert "shop" in query(container, password, "SHOW DATABASES", "clerk")


def test_mysql_without_a_password_option_stops_with_the_reason(network):
    container = network.run(image="mysql:5.7")
    assert docker("wait", container) == "1"
    logs = subprocess.run(["docker", "logs", container], capture_output=True, text=True)
    assert "MYSQL_ROOT_PASSWORD" in logs.stderr


def test_wordpress_reads_a_secret_from_a_file_and_fills_an_empty_volume(network):
    site = network.run("-v", "/var/www/html", "-e", "WORDPRESS_DB_PASSWORD_FILE=/etc/hostname", "-e", "WORDPRESS_DB_HOST=nowhere",
                       image="wordpress:latest")
    url = f"http://{network.address(site)}/"
    status, _, text = wait.until(lambda: wordpress.fetch(url, timeout=30), 60)
    assert status == 500 and "database" in text.lower()
    assert "wp-login.php" in docker("exec", site, "ls", "/var/www/html")


@pytest.mark.parametrize("image, command", [("nginx:latest", "curl -s http://{peer}/"), ("redis:latest", "echo PING | nc -w 2 {peer} 6379")])
def test_servers_answer_their_neighbours(network, image, command):
    server = network.run(image=image)
    expected = {"nginx:latest": "Welcome to nginx!", "redis:latest": "PONG"}[image]
    client = network.run("-it", image="cirros:latest")
    address = network.address(server)
    wait.until(lambda: expected in docker("exec", client, "sh", "-c", command.format(peer=address), check=False), 20)
