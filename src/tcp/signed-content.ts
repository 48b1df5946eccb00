/** What a host key signs to vouch for the key of a certificate. */
import { SIGNATURE_PREFIX } from './constants.ts'

/** @param spki the certificate's SubjectPublicKeyInfo, DER */
export function signedContent(spki: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(SIGNATURE_PREFIX), spki])
}
