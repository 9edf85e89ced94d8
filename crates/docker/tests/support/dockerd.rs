//! A Docker daemon of the test's own: private folders, private plugin directory, no bridge, no firewall rules.
//!
//! Included by the integration tests of several crates with `#[path]`.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub struct Dockerd {
    pub dir: PathBuf,
    child: Option<Child>,
    /// Name of the network namespace to run in; `None` is the test's own.
    namespace: Option<String>,
}

impl Dockerd {
    /// Starts a daemon and gives it the image `busybox:latest`.
    pub fn start() -> Self {
        let mut daemon = Self::prepare(None);
        daemon.launch();
        daemon.import_busybox();
        daemon
    }

    /// The folders of a daemon that is not running yet.
    pub fn prepare(namespace: Option<&str>) -> Self {
        let dir = tempfile::Builder::new().prefix("sdk-").tempdir_in("/tmp").unwrap().keep();
        for folder in ["run/plugins", "ctd", "data", "exec", "state"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        Dockerd { dir, child: None, namespace: namespace.map(str::to_owned) }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }
    /// Where this daemon looks for the socket of the network driver `name`.
    pub fn plugin_socket(&self, name: &str) -> PathBuf {
        self.dir.join(format!("run/plugins/{name}.sock"))
    }
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The plugin directory and containerd's are fixed paths, so the daemon sees its own in a mount namespace.
    pub fn launch(&mut self) {
        fs::create_dir_all("/run/docker").unwrap();
        fs::create_dir_all("/run/containerd").unwrap();
        let dir = self.dir.display();
        let script = format!(
            "mount --bind {dir}/run /run/docker && mount --bind {dir}/ctd /run/containerd && exec dockerd \
             --data-root {dir}/data --exec-root {dir}/exec --pidfile {dir}/pid -H unix://{dir}/docker.sock \
             --bridge none --iptables=false --ip-masq=false --userland-proxy=false"
        );
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).unwrap();
        // Not `ip netns exec`, which mounts a new sysfs and so hides the cgroups.
        let mut words: Vec<String> = Vec::new();
        if let Some(name) = &self.namespace {
            words.extend(["nsenter".into(), format!("--net=/run/netns/{name}")]);
        }
        words.extend(["unshare", "-m", "--propagation", "slave", "sh", "-c", &script].map(str::to_owned));
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.docker(&["version"]).status().unwrap().success() {
            assert!(Instant::now() < deadline, "dockerd did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the daemon as an operator would (`TERM`), or as a crash does (`KILL`).
    pub fn end(&mut self, signal: &str) {
        let Some(mut child) = self.child.take() else { return };
        // `unshare` and the shell have become dockerd, so the child's id is the daemon's.
        let _ = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(40);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if signal == "KILL" {
            // Its containerd dies with it. Where process 1 reaps nobody the dead one looks alive to the next daemon.
            let _ = fs::remove_file(self.dir.join("exec/containerd/containerd.pid"));
        }
    }

    /// The command line against this daemon.
    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.arg("-H").arg(format!("unix://{}", self.socket().display())).args(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
    /// Its output; panics when it fails.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.docker(args).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// What a daemon that could not be started again has left of its containers.
    fn end_shims(&self) {
        let address = format!("{}/exec/containerd", self.dir.display());
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if !String::from_utf8_lossy(&command).contains(&address) {
                continue;
            }
            let shim = entry.file_name().to_string_lossy().into_owned();
            let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap_or_default();
            for id in children.split_whitespace().chain([shim.as_str()]) {
                let _ = Command::new("kill").args(["-KILL", id]).status();
            }
        }
    }

    pub fn import_busybox(&self) {
        let root = self.dir.join("root");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(root.join("tmp")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        let binary = root.join("bin/busybox");
        fs::copy(busybox(&self.dir), &binary).unwrap();
        let applets = Command::new(&binary).arg("--list").output().unwrap().stdout;
        for applet in String::from_utf8(applets).unwrap().lines().filter(|name| *name != "busybox") {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let tar = self.dir.join("busybox.tar");
        let done = Command::new("tar").arg("cf").arg(&tar).arg("-C").arg(&root).arg(".").status().unwrap();
        assert!(done.success());
        self.run(&["import", "--change", "CMD [\"sh\"]", tar.to_str().unwrap(), "busybox:latest"]);
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if self.child.is_some() {
            let ids = self.docker(&["ps", "-aq"]).stdout(Stdio::piped()).output();
            let ids = ids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            for id in ids.split_whitespace() {
                let _ = self.docker(&["rm", "-f", id]).status();
            }
        }
        self.end("TERM");
        self.end_shims();
        if std::env::var_os("SAHAB_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A statically linked busybox: the installed one, or Debian's package unpacked here.
fn busybox(dir: &Path) -> PathBuf {
    for path in ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"] {
        if Path::new(path).exists() {
            return path.into();
        }
    }
    let script = "apt-get download busybox-static >/dev/null 2>&1 && dpkg-deb -x busybox-static*.deb unpacked";
    let done = Command::new("sh").args(["-c", script]).current_dir(dir).status().unwrap();
    assert!(done.success(), "no busybox: install busybox-static");
    dir.join("unpacked/bin/busybox")
}
