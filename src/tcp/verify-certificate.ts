/** Whether a certificate proves who the peer is: libp2p TLS specification, "Peer Authentication". */
import type { X509Certificate } from 'node:crypto'
import type { PeerId } from '@libp2p/interface'
import {
  type CertificateExtension,
  type CertificateParts,
  decodeCertificate,
  decodeSignedKey
} from './certificate-der.ts'
import { LIBP2P_EXTENSION_OID } from './constants.ts'
import { InvalidPeerCertificateError } from './errors.ts'
import { decodeHostKey, type HostKey } from './host-key.ts'
import { signedContent } from './signed-content.ts'

/** Extensions that say nothing about a libp2p peer, however much they insist on being understood. */
const HARMLESS_EXTENSIONS = new Set([
  '2.5.29.15', // key usage
  '2.5.29.19', // basic constraints
  '2.5.29.37' // extended key usage
])

/** Signatures with a hash of at least 256 bits, as libp2p wants it. RSA-PSS is left out, since its hash is hidden in parameters. */
const STRONG_SIGNATURES = new Set([
  '1.2.840.10045.4.3.2', // ECDSA with SHA-256
  '1.2.840.10045.4.3.3', // and SHA-384
  '1.2.840.10045.4.3.4', // and SHA-512
  '1.2.840.113549.1.1.11', // RSA with SHA-256
  '1.2.840.113549.1.1.12', // and SHA-384
  '1.2.840.113549.1.1.13', // and SHA-512
  '1.3.101.112' // Ed25519
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
  const parts = decodeCertificate(certificate.raw)
  const { publicKey, extensions } = parts
  checkAlgorithms(parts)
  checkSelfSignature(certificate)
  const { publicKey: hostKeyBytes, signature } = decodeSignedKey(libp2pExtension(extensions).value)
  const hostKey = await hostKeyOf(hostKeyBytes)
  if (!(await isSignedBy(hostKey, signedContent(publicKey), signature))) {
    throw refused('host-signature', `${hostKey.peer} has not signed its key`)
  }
  return hostKey.peer
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

function checkAlgorithms({ signatureAlgorithm, hasExplicitCurve }: CertificateParts): void {
  if (!STRONG_SIGNATURES.has(signatureAlgorithm)) {
    throw refused('weak-algorithm', `it is signed by ${signatureAlgorithm}, which is weak or unknown`)
  }
  // Whoever chooses the curve's parameters can have a signature for any key.
  if (hasExplicitCurve) throw refused('weak-algorithm', 'its elliptic curve is not one of those with a name')
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

async function hostKeyOf(bytes: Uint8Array): Promise<HostKey> {
  try {
    return await decodeHostKey(bytes)
  } catch (cause) {
    throw refused('host-key', 'the host key in it is none', cause)
  }
}

/** Keys have their own opinion of a signature that cannot be one: some say no, others throw. */
async function isSignedBy(key: HostKey, content: Uint8Array, signature: Uint8Array): Promise<boolean> {
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
