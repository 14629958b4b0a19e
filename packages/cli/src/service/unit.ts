/** Name of the service, of its user and of its state directory below `/var/lib`. */
export const SERVICE = 'atoll';
export const SERVICE_STATE = `/var/lib/${SERVICE}`;
export const SERVICE_SETTINGS = '/etc/atoll/atoll.yaml';

/** What the settings file of a new service says. */
export const FIRST_SETTINGS = `# Settings of the Atoll hub, one “name: value” a line; docs/en/hub.md lists them all.
# After a change: systemctl restart ${SERVICE}
`;

/**
 * The systemd unit of a hub (systemd.exec(5)): a user of its own that exists while it runs, nothing of the system to
 * write to but its state, and ready when every service answered a probe.
 *
 * @param command What runs as `atoll`: absolute paths without blanks.
 */
export function serviceUnit(command: readonly string[]): string {
  return `[Unit]
Description=Atoll, a whole Jami network in one program
Documentation=https://jami.net/
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
# The hub says that it is ready through systemd-notify(1), a process of its own.
NotifyAccess=all
ExecStart=${command.join(' ')} up --state ${SERVICE_STATE} --config ${SERVICE_SETTINGS} --ready-file %t/${SERVICE}/ready.json
Restart=on-failure
RestartSec=2
TimeoutStartSec=120
LimitNOFILE=65536
DynamicUser=yes
User=${SERVICE}
StateDirectory=${SERVICE}
StateDirectoryMode=0700
RuntimeDirectory=${SERVICE}
UMask=0077
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
PrivateDevices=yes
PrivateTmp=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
# JavaScript is compiled while it runs: memory is written first and run then.
MemoryDenyWriteExecute=no
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}
