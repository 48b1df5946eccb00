/** Whether a certificate proves who the peer is: libp2p TLS specification, "Peer Authentication". */
import type { X509Certificate } from 'node:crypto'
import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { PeerId, PublicKey } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { type CertificateExtension, decodeCertificate, decodeSignedKey } from './certificate-der.ts'
import { LIBP2P_EXTENSION_OID } from './constants.ts'
import { InvalidPeerCertificateError } from './errors.ts'
import { signedContent } from './signed-content.ts'

/** Extensions that say nothing about a libp2p peer, however much they insist on being understood. */
const HARMLESS_EXTENSIONS = new Set([
  '2.5.29.15', // key usage
  '2.5.29.19', // basic constraints
  '2.5.29.37' // extended key usage
])

/**
 * Returns whose certificate it is. That the peer has the certificate's private key, the TLS handshake has proven.
 *
 * @param now ms since 1970
 * @throws InvalidPeerCertificateError
 */
export async function verifyCertificate(
  certificate: X509Certificate | undefined,
  now: number = Date.now()
): Promise<PeerId> {
  if (certificate === undefined) throw refused('missing', 'there is none')
  // Node calls that the issuer which stands next in the list, whether or not it has issued anything.
  if (certificate.issuerCertificate !== undefined) {
    throw refused('more-than-one', 'it came with another one; libp2p peers show exactly one')
  }
  checkDates(certificate, now)
  checkSelfSignature(certificate)
  const { publicKey, extensions } = decodeCertificate(certificate.raw)
  const { publicKey: hostKeyBytes, signature } = decodeSignedKey(libp2pExtension(extensions).value)
  const hostKey = decodeHostKey(hostKeyBytes)
  if (!(await isSignedBy(hostKey, signedContent(publicKey), signature))) {
    throw refused('host-signature', `${peerIdFromPublicKey(hostKey)} has not signed its key`)
  }
  return peerIdFromPublicKey(hostKey)
}

function checkDates({ validFromDate, validToDate }: X509Certificate, now: number): void {
  const clocks = 'one of the two clocks may be wrong'
  if (validFromDate.getTime() > now) {
    throw refused('not-yet-valid', `it is valid from ${validFromDate.toISOString()} on; ${clocks}`)
  }
  if (validToDate.getTime() < now) {
    throw refused('expired', `it was valid until ${validToDate.toISOString()}; ${clocks}`)
  }
}

function checkSelfSignature(certificate: X509Certificate): void {
  let isSigned: boolean
  try {
    isSigned = certificate.verify(certificate.publicKey)
  } catch (cause) {
    throw refused('self-signature', 'its signature cannot be checked', cause)
  }
  if (!isSigned) throw refused('self-signature', 'it is not signed by its own key')
}

function libp2pExtension(extensions: readonly CertificateExtension[]): CertificateExtension {
  const foreign = extensions.find(
    ({ oid, critical }) => critical && oid !== LIBP2P_EXTENSION_OID && !HARMLESS_EXTENSIONS.has(oid)
  )
  if (foreign !== undefined) {
    throw refused('unknown-critical-extension', `it has the unknown critical extension ${foreign.oid}`)
  }
  const found = extensions.filter(({ oid }) => oid === LIBP2P_EXTENSION_OID)
  if (found.length > 1) throw refused('malformed', 'it has the libp2p extension more than once')
  if (found[0] === undefined) throw refused('no-extension', 'it has no libp2p extension')
  return found[0]
}

function decodeHostKey(bytes: Uint8Array): PublicKey {
  try {
    return publicKeyFromProtobuf(bytes)
  } catch (cause) {
    throw refused('host-key', 'the host key in it is none', cause)
  }
}

/** Keys have their own opinion of a signature that cannot be one: some say no, others throw. */
async function isSignedBy(key: PublicKey, content: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    return await key.verify(content, signature)
  } catch (cause) {
    throw refused('host-signature', 'the signature of its host key is none', cause)
  }
}

function refused(
  problem: InvalidPeerCertificateError['problem'],
  detail: string,
  cause?: unknown
): InvalidPeerCertificateError {
  return new InvalidPeerCertificateError(problem, detail, cause)
}
