//! nginx before the gateways.

use std::{fs, path::Path, process::Command};

use super::{Addresses, FRONT_HERE};
use crate::Child;

/// The front proxy's configuration, with `${FRONT_…}` to be filled in.
pub const FRONT_TEMPLATE: &str = include_str!("front.conf.template");

/// Starts nginx on the ports that the addresses name, with its files in `folder`; `None` where it is not installed.
///
/// # Errors
/// When its files cannot be written.
pub(super) fn start(addresses: &Addresses, folder: &Path) -> anyhow::Result<Option<Child>> {
    let Some(nginx) = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(Path::new).into_iter().find(|path| path.exists()) else {
        return Ok(None);
    };
    let folder = folder.canonicalize()?;
    let servers: String =
        addresses.gateways.iter().map(|gateway| format!("server {} max_fails=1 fail_timeout=2s; ", gateway.address)).collect();
    let listen = |port: u16| format!("127.0.0.1:{port}");
    let mut site = FRONT_TEMPLATE.to_owned();
    for (name, value) in [
        ("FRONT_GATEWAYS", servers),
        ("FRONT_LISTEN", listen(addresses.front.http)),
        ("FRONT_GRPC_LISTEN", listen(addresses.front.grpc)),
        ("FRONT_BIND", format!("proxy_bind {FRONT_HERE}; grpc_bind {FRONT_HERE};")),
    ] {
        site = site.replace(&format!("${{{name}}}"), &value);
    }
    let whole = format!(
        "daemon off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/front.log warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; client_body_temp_path {0}/nginx-body; proxy_temp_path {0}/nginx-proxy;\n\
         fastcgi_temp_path {0}/nginx-f; uwsgi_temp_path {0}/nginx-u; scgi_temp_path {0}/nginx-s;\n{site}\n}}\n",
        folder.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, whole)?;
    let mut command = Command::new(nginx);
    command.arg("-c").arg(&path).arg("-p").arg(&folder).args(["-e", "stderr"]);
    Ok(Some(Child::start(command, "nginx-light")))
}
