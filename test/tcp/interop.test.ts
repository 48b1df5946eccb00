/** The transport with itself, and with unmodified js-libp2p nodes, both ways. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { ConnectionGater, MessageStream } from '@libp2p/interface'
import { describe, expect, it } from 'vitest'
import { WrongPeerError } from '../../src/tcp/index.ts'
import { SocketConnection } from '../../src/tcp/socket-connection.ts'
import { randomData } from '../helpers/data.ts'
import { fetchBlob, type NodeKind, openSockets, startNode, until } from './support.ts'

const TLS = '/tls/1.0.0'
const NOISE = '/noise'

const PAIRS: [dialler: NodeKind, listener: NodeKind, encryption: string][] = [
  ['ours', 'ours', TLS],
  ['ours', 'tls only', TLS],
  ['tls only', 'ours', TLS],
  ['ours', 'noise only', NOISE],
  ['noise only', 'ours', NOISE],
  ['ours', 'tls, then noise', TLS],
  ['tls, then noise', 'ours', TLS],
  ['ours', 'noise, then tls', TLS],
  // Who dials proposes.
  ['noise, then tls', 'ours', NOISE],
  ['ours, nothing else', 'ours', TLS],
  ['ours, nothing else', 'tls only', TLS],
  ['our noise', 'our noise', NOISE],
  ['our noise', 'noise only', NOISE],
  ['noise only', 'our noise', NOISE],
  ['our noise on @libp2p/tcp', 'noise only', NOISE],
  // Who has no TLS is not offered it.
  ['our noise', 'ours', NOISE],
  ['ours', 'our noise', NOISE],
  // Without us: the plain stack stays what it was.
  ['noise only', 'noise only', NOISE]
]

describe.each(PAIRS)('%s dials %s', (dialler, listener, encryption) => {
  it(`by ${encryption}, and blobs go both ways`, async () => {
    await using provider = await startNode(listener)
    await using getter = await startNode(dialler)
    const connection = await getter.dial(provider.getMultiaddrs())
    expect(connection.encryption).toBe(encryption)
    expect(connection.multiplexer).toBe('/yamux/1.0.0')
    expect(connection.remotePeer.equals(provider.peerId)).toBe(true)
    expect(String(connection.remoteAddr)).toBe(String(provider.getMultiaddrs()[0]))
    await until(() => provider.getConnections().length === 1)
    const [other] = provider.getConnections()
    expect(other!.encryption).toBe(encryption)
    expect(other!.remotePeer.equals(getter.peerId)).toBe(true)
    expect(String(other!.remoteAddr)).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\//)

    const data = randomData(5_000_000)
    expect(Buffer.compare(await fetchBlob(getter, provider, data), data)).toBe(0)
    const back = randomData(3_000_000, 2)
    expect(Buffer.compare(await fetchBlob(provider, getter, back), back)).toBe(0)
    expect(getter.getConnections()).toEqual([connection])
  })

  it('and tells an impostor from the peer that was meant', async () => {
    await using impostor = await startNode(listener)
    await using getter = await startNode(dialler)
    const meant = await startNode('noise only')
    await meant.stop()
    const addr = impostor.getMultiaddrs()[0]!.decapsulate('/p2p').encapsulate(`/p2p/${meant.peerId}`)
    const failure = await getter.dial(addr).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Error)
    if (encryption === TLS && dialler.startsWith('ours')) {
      expect(failure).toBeInstanceOf(WrongPeerError)
      expect(failure).toMatchObject({ code: 'ERR_WRONG_PEER' })
      expect(String(failure)).toContain(`dialled peer ${meant.peerId}, but ${impostor.peerId} answers`)
    }
    expect(getter.getConnections()).toEqual([])
    await until(() => openSockets() === 0)
  })
})

describe('a connection over TLS whose reader pauses', () => {
  it('hands on all that comes, in order, and takes no more meanwhile', async () => {
    let pauses = 0
    let held = 0
    const pausing = (connection: MessageStream): void => {
      connection.addEventListener('message', () => {
        if (!(connection instanceof SocketConnection) || connection.readStatus !== 'readable') return
        connection.pause()
        // Long enough for more to come than the socket holds.
        const ms = pauses++ < 5 ? 100 : 5
        setTimeout(() => {
          held = Math.max(held, connection.readBufferLength)
          connection.resume()
        }, ms)
      })
    }
    await using provider = await startNode('ours')
    await using getter = await startNode('ours', { onSecured: pausing })
    await getter.dial(provider.getMultiaddrs())
    const data = randomData(10_000_000)
    expect(Buffer.compare(await fetchBlob(getter, provider, data), data)).toBe(0)
    expect(held).toBeLessThan(65_536)
    expect(pauses).toBeGreaterThan(5)
  })
})

describe('host keys', () => {
  it.each(['Ed25519', 'secp256k1', 'RSA'] as const)('of type %s are proven by TLS', async type => {
    const privateKey = await generateKeyPair(type)
    await using ours = await startNode('ours', { privateKey })
    await using theirs = await startNode('tls only', { privateKey: await generateKeyPair(type) })
    const out = await ours.dial(theirs.getMultiaddrs())
    expect(out.remotePeer.equals(theirs.peerId)).toBe(true)
    await out.close()
    await until(() => theirs.getConnections().length === 0)
    const back = await theirs.dial(ours.getMultiaddrs())
    expect(back.remotePeer.equals(ours.peerId)).toBe(true)
    await using another = await startNode('ours', { privateKey: await generateKeyPair(type) })
    expect((await ours.dial(another.getMultiaddrs())).remotePeer.equals(another.peerId)).toBe(true)
  })
})

describe('a host key that cannot sign for a while', () => {
  it('fails handshakes for no longer than that', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const sign = privateKey.sign.bind(privateKey)
    let isLocked = false
    privateKey.sign = (...args) => {
      if (isLocked) throw new Error('the key store is locked')
      return sign(...args)
    }
    await using dialler = await startNode('ours', { privateKey })
    await using listener = await startNode('ours')
    isLocked = true
    await expect(dialler.dial(listener.getMultiaddrs())).rejects.toThrow('the key store is locked')
    isLocked = false
    expect((await dialler.dial(listener.getMultiaddrs())).encryption).toBe(TLS)
  })
})

describe('the connection gater', () => {
  const HOOKS = [
    'denyDialPeer',
    'denyDialMultiaddr',
    'denyOutboundConnection',
    'denyOutboundEncryptedConnection',
    'denyOutboundUpgradedConnection',
    'denyInboundConnection',
    'denyInboundEncryptedConnection',
    'denyInboundUpgradedConnection'
  ] as const

  /** Writes down what it is asked, and denies one thing. */
  function gater(asked: string[], denied?: string): ConnectionGater {
    return Object.fromEntries(
      HOOKS.map(hook => [
        hook,
        (): boolean => {
          asked.push(hook)
          return hook === denied
        }
      ])
    )
  }

  async function askedWith(kind: NodeKind): Promise<[dialler: string[], listener: string[]]> {
    const asked: [string[], string[]] = [[], []]
    await using listener = await startNode(kind, { connectionGater: gater(asked[1]) })
    await using dialler = await startNode(kind, { connectionGater: gater(asked[0]) })
    await dialler.dial(listener.getMultiaddrs())
    await until(() => listener.getConnections().length === 1)
    return asked
  }

  it('is asked the same, in the same order, as by @libp2p/tcp and noise', async () => {
    const ours = await askedWith('ours')
    expect(ours).toEqual(await askedWith('noise only'))
    expect(ours[0]).toContain('denyOutboundEncryptedConnection')
    expect(ours[1]).toContain('denyInboundEncryptedConnection')
  })

  it.each(HOOKS.filter(hook => hook.startsWith('denyInbound')))(
    'that says %s ends the connection',
    async hook => {
      await using listener = await startNode('ours', { connectionGater: gater([], hook) })
      await using dialler = await startNode('ours')
      const connection = await dialler.dial(listener.getMultiaddrs()).catch(() => undefined)
      await until(() => connection === undefined || connection.status !== 'open')
      expect(listener.getConnections()).toEqual([])
      await until(() => openSockets() === 0)
    }
  )

  it.each(HOOKS.filter(hook => hook.startsWith('denyOutbound')))(
    'that says %s fails the dial',
    async hook => {
      await using listener = await startNode('ours')
      await using dialler = await startNode('ours', { connectionGater: gater([], hook) })
      await expect(dialler.dial(listener.getMultiaddrs())).rejects.toThrow(hook)
      await until(() => openSockets() === 0)
    }
  )
})

describe('a connection', () => {
  it('that nobody uses for longer than its timeout is closed, and one in use is not', async () => {
    // Where the machine stands still for so long that nobody has used it, it begins anew, with more patience.
    for (let timeoutMs = 400; ; timeoutMs *= 2) {
      await using listener = await startNode('ours', {
        transport: { inboundSocketInactivityTimeout: timeoutMs }
      })
      await using dialler = await startNode('ours')
      let uses = 0
      let longest = 0
      const use = async (): Promise<void> => {
        const start = performance.now()
        await fetchBlob(dialler, listener, randomData(1_000, uses++))
        await new Promise(resolve => setTimeout(resolve, timeoutMs / 10))
        longest = Math.max(longest, performance.now() - start)
      }
      const useForLong = async () => {
        const connection = await dialler.dial(listener.getMultiaddrs())
        for (const start = performance.now(); performance.now() - start < 2 * timeoutMs; ) await use()
        return connection
      }
      const connection = await useForLong().catch(() => undefined)
      if (connection === undefined || longest > timeoutMs / 4) continue
      expect(dialler.getConnections().map(({ id }) => id)).toEqual([connection.id])
      await until(() => connection.status !== 'open' && listener.getConnections().length === 0)
      await until(() => openSockets() === 0)
      return
    }
  })

  it('loses nothing of what was written before it is closed', async () => {
    await using listener = await startNode('ours')
    await using dialler = await startNode('ours')
    let received = 0
    await listener.handle('/test/count', stream => {
      stream.addEventListener('message', ({ data }) => {
        received += data.byteLength
      })
    })
    const connection = await dialler.dial(listener.getMultiaddrs())
    const stream = await connection.newStream('/test/count')
    // Less than the first window: it is all on its way, and much of it in buffers.
    stream.send(randomData(200_000))
    await stream.close()
    await connection.close()
    await until(() => received === 200_000)
    await until(() => openSockets() === 0)
  })

  it('that is aborted is gone on both sides', async () => {
    await using listener = await startNode('ours')
    await using dialler = await startNode('ours')
    const connection = await dialler.dial(listener.getMultiaddrs())
    connection.abort(new Error('enough'))
    await until(() => listener.getConnections().length === 0 && openSockets() === 0)
  })

  it('goes with its node', async () => {
    const listener = await startNode('ours')
    await using dialler = await startNode('ours')
    await dialler.dial(listener.getMultiaddrs())
    await listener.stop()
    await until(() => dialler.getConnections().length === 0 && openSockets() === 0)
  })
})
