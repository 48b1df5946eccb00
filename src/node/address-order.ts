/** Which of a peer's addresses is dialled first. */
import type { Address } from '@libp2p/interface'
import {
  circuitRelayAddressesLast,
  isLoopback,
  publicAddressesFirst,
  reliableTransportsFirst
} from '@libp2p/utils'

/**
 * Loopback first, so that what goes on between two nodes on one machine never leaves it; then as libp2p has it. On another
 * machine a loopback address costs one refused connection: whoever answers there has to prove that it is the peer.
 */
export function loopbackFirst({ multiaddr: a }: Address, { multiaddr: b }: Address): -1 | 0 | 1 {
  if (isLoopback(a) !== isLoopback(b)) return isLoopback(a) ? -1 : 1
  return publicAddressesFirst(a, b) || circuitRelayAddressesLast(a, b) || reliableTransportsFirst(a, b)
}
