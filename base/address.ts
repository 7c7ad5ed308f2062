const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+):(\d{1,5})$/;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** The host of `host:port`, an IPv6 address in its brackets; undefined where it is no such address. */
export function hostOf(address: string): string | undefined {
  const [, host, port] = ADDRESS.exec(address) ?? [];
  return Number(port) <= 65_535 ? host : undefined;
}

/** Whether only processes of this host can connect to what listens at `host:port`. */
export function isLoopback(address: string): boolean {
  const host = hostOf(address);
  return host !== undefined && LOOPBACK.test(host);
}
