import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { ChannelCredentials, experimental, ServerCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { hostOf } from '../base/address.ts';
import type { TlsMaterial, TlsSource } from '../base/tls-source.ts';

/** How a client makes sure of the server, and what it shows of itself. */
export type DialTls = {
  readonly source: TlsSource;
  /** The name that the server's certificate must have, where that is not the host that is dialled. */
  readonly serverName?: string | undefined;
  /** Takes any server: only to ask for what is then compared with something known, and never with a credential. */
  readonly unverified?: true;
};

/** Credentials of a server that asks clients for certificates where authorities are given, and takes those that show none. */
export function serverCredentials(source: TlsSource): ServerCredentials {
  return new ExchangedCredentials(source);
}

/** The library's own, which come from a provider, refuse connections until that has spoken twice. */
class ExchangedCredentials extends ServerCredentials {
  constructor(source: TlsSource) {
    const contextOf = ({ ca, own }: TlsMaterial) => ({ ca, ...own });
    const first = source.current();
    super({ requestCert: first.ca !== undefined, rejectUnauthorized: false }, contextOf(first));
    source.onChange((material) => this.updateSecureContextOptions(contextOf(material))); // for as long as the source lives
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

/** Stands for an address where only a name may: names are sent in clear, addresses must not be. */
const ADDRESS_NAME = 'address.invalid';

/** Credentials of a client of the server at `address`; each connection is made with the certificates of its time. */
export function channelCredentials(
  { source, serverName, unverified }: DialTls,
  address: string,
): readonly [ChannelCredentials, ChannelOptions] {
  if (unverified === true) {
    const anyServer = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
    return [ChannelCredentials.createSsl(null, null, null, anyServer), { 'grpc.ssl_target_name_override': ADDRESS_NAME }];
  }
  const provider = providerOf(source);
  const host = serverName ?? hostOf(address)?.replace(/^\[(.*)\]$/, '$1') ?? address;
  const credentials = experimental.createCertificateProviderChannelCredentials(
    provider,
    source.current().own === undefined ? null : provider,
    {
      checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    },
  );
  return [credentials, { 'grpc.ssl_target_name_override': isIP(host) === 0 ? host : ADDRESS_NAME }];
}

/** Tells gRPC of the certificates, and of each exchange. */
function providerOf(source: TlsSource): experimental.CertificateProvider {
  const watches = new Map<unknown, Disposable>();
  const listen = (listener: unknown, tell: (material: TlsMaterial) => void) => {
    watches.set(listener, source.onChange(tell));
    tell(source.current());
  };
  const forget = (listener: unknown) => {
    watches.get(listener)?.[Symbol.dispose]();
    watches.delete(listener);
  };
  return {
    addCaCertificateListener: (listener) => listen(listener, ({ ca }) => listener(ca === undefined ? null : { caCertificate: ca })),
    removeCaCertificateListener: forget,
    addIdentityCertificateListener: (listener) =>
      listen(listener, ({ own }) => listener(own === undefined ? null : { certificate: own.cert, privateKey: own.key })),
    removeIdentityCertificateListener: forget,
  };
}
