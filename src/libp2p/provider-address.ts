/** Who to fetch from. */
import { isPeerId, type PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/** One peer: its id, when libp2p knows or can find its address, or the addresses where it listens. */
export type ProviderAddress = PeerId | Multiaddr[]

/** One or several peers, in the order in which they are to be asked. Addresses that follow each other and name the same peer
 * id (`/p2p/…`) are one peer. */
export type ProviderList = PeerId | Multiaddr | readonly (PeerId | Multiaddr)[]

/** @throws RangeError when the list is empty */
export function providersOf(from: ProviderList): ProviderAddress[] {
  const providers: ProviderAddress[] = []
  let last: { id: string | undefined; addrs: Multiaddr[] } | undefined
  for (const item of isList(from) ? from : [from]) {
    if (isPeerId(item)) {
      providers.push(item)
      last = undefined
      continue
    }
    const id = peerIdOf(item)
    if (last !== undefined && id !== undefined && last.id === id) {
      last.addrs.push(item)
    } else {
      last = { id, addrs: [item] }
      providers.push(last.addrs)
    }
  }
  if (providers.length === 0) throw new RangeError('`from` names no provider')
  return providers
}

/** A provider, for people to read. */
export function nameOf(provider: ProviderAddress): string {
  return Array.isArray(provider) ? provider.join(', ') : provider.toString()
}

/** The provider's peer id, as far as the address tells. */
export function idOf(provider: ProviderAddress): string | undefined {
  if (!Array.isArray(provider)) return provider.toString()
  const [addr] = provider
  return addr && peerIdOf(addr)
}

function isList(from: ProviderList): from is readonly (PeerId | Multiaddr)[] {
  return Array.isArray(from)
}

function peerIdOf(addr: Multiaddr): string | undefined {
  return addr.getComponents().findLast(({ name }) => name === 'p2p')?.value
}
