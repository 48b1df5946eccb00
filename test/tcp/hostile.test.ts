/** Peers that do not mean well, or cannot do better. Whatever they do, the node lives on and keeps no socket of theirs for longer than its timeouts. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, connect, TLSSocket, type TLSSocketOptions } from 'node:tls'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { decodeCertificate } from '../../src/tcp/certificate-der.ts'
import { GATHERED_PIECES } from '../../src/tcp/constants.ts'
import { InvalidPeerCertificateError, TlsHandshakeError } from '../../src/tcp/index.ts'
import { randomData } from '../helpers/data.ts'
import { type Credentials, daysFromNow, makeCertificate, newSigner } from './certificates.ts'
import {
  closed,
  dialRaw,
  fetchBlob,
  HEADER,
  listenRaw,
  message,
  openSockets,
  readMessage,
  startNode,
  type TestNode,
  until
} from './support.ts'

const TLS = '/tls/1.0.0'

/** How long peers may take who are let go in time, in ms. */
const SHORT_MS = 1_000

let node: TestNode
/** The same, but it has less patience with who has not shown yet who he is. */
let impatient: TestNode
let hostKey: PrivateKey
let good: Credentials

beforeAll(async () => {
  node = await startNode('ours')
  impatient = await startNode('ours', { upgradeTimeoutMs: SHORT_MS })
  hostKey = await generateKeyPair('Ed25519')
  good = await makeCertificate({ hostKey })
})

afterEach(async () => {
  // Nothing is left of the peer that was here, and others are served.
  await until(() => openSockets() === 0)
  await using friend = await startNode('ours')
  const data = randomData(100_000)
  expect(Buffer.compare(await fetchBlob(friend, node, data), data)).toBe(0)
  await friend.stop()
  await until(() => node.getConnections().length === 0 && openSockets() === 0)
})

afterAll(async () => {
  await Promise.all([node.stop(), impatient.stop()])
})

/** Agrees on TLS with the node, as who dials. */
async function proposeTls(socket: Socket): Promise<void> {
  socket.write(Buffer.concat([HEADER, message(TLS)]))
  expect(await readMessage(socket)).toBe('/multistream/1.0.0')
  expect(await readMessage(socket)).toBe(TLS)
}

/** Agrees on TLS with the node, as who is dialled. */
async function acceptTls(socket: Socket): Promise<void> {
  await readMessage(socket)
  await readMessage(socket)
  socket.write(Buffer.concat([HEADER, message(TLS)]))
}

function tlsClient(socket: Duplex, options: ConnectionOptions): TLSSocket {
  const tls = connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['libp2p'], ...options })
  tls.on('error', () => undefined)
  // Who does not read does not learn that the other side has gone.
  tls.resume()
  return tls
}

function tlsServer(socket: Socket, options: TLSSocketOptions): TLSSocket {
  const tls = new TLSSocket(socket, {
    isServer: true,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['libp2p'],
    ...options
  })
  tls.on('error', () => undefined)
  tls.on('_tlsError', () => tls.destroy())
  tls.resume()
  return tls
}

const BAD_CERTIFICATES: [what: string, problem: string, make: () => Promise<Partial<Credentials>>][] = [
  [
    'signed by another host key than it claims',
    'host-signature',
    async () => await makeCertificate({ hostKey, claimed: (await generateKeyPair('Ed25519')).publicKey })
  ],
  [
    'with the extension of another certificate',
    'host-signature',
    async () => await makeCertificate({ hostKey, extensions: decodeCertificate(good.der).extensions })
  ],
  [
    'that has expired',
    'expired',
    async () => await makeCertificate({ hostKey, notAfter: daysFromNow(-0.1) })
  ],
  [
    'that is not valid yet',
    'not-yet-valid',
    async () => await makeCertificate({ hostKey, notBefore: daysFromNow(0.1) })
  ],
  [
    'not signed by its own key',
    'self-signature',
    async () => await makeCertificate({ hostKey, signer: newSigner() })
  ],
  ['without the extension', 'no-extension', async () => await makeCertificate({ hostKey, extensions: [] })],
  [
    'with garbage for an extension',
    'malformed',
    async () => await makeCertificate({ hostKey, extension: randomData(80) })
  ],
  [
    'and another one behind it',
    'more-than-one',
    async () => ({ key: good.key, cert: good.cert + (await makeCertificate({ hostKey })).cert })
  ]
]

describe('a certificate', () => {
  it.each(BAD_CERTIFICATES)('%s is refused from who dials', async (_, __, make) => {
    const socket = await dialRaw(node)
    await proposeTls(socket)
    tlsClient(socket, await make())
    await closed(socket)
    expect(node.getConnections()).toEqual([])
  })

  it.each(BAD_CERTIFICATES)('%s is refused from who is dialled, and told', async (_, problem, make) => {
    const credentials = await make()
    await using listener = await listenRaw(async socket => {
      await acceptTls(socket)
      tlsServer(socket, credentials)
    })
    const failure = await node.dial(listener.addr).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(InvalidPeerCertificateError)
    expect(failure).toMatchObject({ problem, code: 'ERR_INVALID_PEER_CERTIFICATE' })
  })

  it('that is missing is refused', async () => {
    const socket = await dialRaw(node)
    await proposeTls(socket)
    tlsClient(socket, {})
    await closed(socket)
    expect(node.getConnections()).toEqual([])
  })
})

describe('a TLS peer', () => {
  const BAD_PEERS: [what: string, options: ConnectionOptions & TLSSocketOptions][] = [
    ['of another application', { ALPNProtocols: ['http/1.1'] }],
    ['without any application', { ALPNProtocols: [] }],
    ['of TLS 1.2', { maxVersion: 'TLSv1.2' }]
  ]

  it.each(BAD_PEERS)('%s is turned away', async (_, options) => {
    const socket = await dialRaw(node)
    await proposeTls(socket)
    tlsClient(socket, { ...good, ...options })
    await closed(socket)
    expect(node.getConnections()).toEqual([])
  })

  it.each(BAD_PEERS)('%s is not talked to when dialled', async (_, options) => {
    await using listener = await listenRaw(async socket => {
      await acceptTls(socket)
      tlsServer(socket, { ...good, ...options })
    })
    const failure = await node.dial(listener.addr).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(TlsHandshakeError)
    expect(failure).toMatchObject({ code: 'ERR_TLS_HANDSHAKE' })
  })

  it('that is right is welcome', async () => {
    const socket = await dialRaw(node)
    await proposeTls(socket)
    const tls = tlsClient(socket, good)
    await once(tls, 'secureConnect')
    tls.write(Buffer.concat([HEADER, message('/yamux/1.0.0')]))
    await until(() => node.getConnections().length === 1)
    tls.destroy()
    await until(() => node.getConnections().length === 0)
  })

  it('that wants to resume a session has to show its certificate again', async () => {
    let session: Buffer | undefined
    for (let i = 0; i < 2; i++) {
      const socket = await dialRaw(node)
      await proposeTls(socket)
      const tls = tlsClient(socket, { ...good, ...(session === undefined ? {} : { session }) })
      tls.on('session', (given: Buffer) => {
        session = given
      })
      await once(tls, 'secureConnect')
      expect(tls.isSessionReused()).toBe(false)
      tls.write(Buffer.concat([HEADER, message('/yamux/1.0.0')]))
      await until(() => node.getConnections().length === 1)
      tls.destroy()
      await until(() => node.getConnections().length === 0)
    }
  })

  it.each(['who dialled', 'who was dialled'])('that goes on in plain text is cut off: %s', async side => {
    const talk = (socket: Socket): boolean => socket.write('nobody encrypts this')
    if (side === 'who dialled') {
      const socket = await dialRaw(node)
      await proposeTls(socket)
      const tls = tlsClient(socket, { ...good, ALPNProtocols: ['/yamux/1.0.0', 'libp2p'] })
      await once(tls, 'secureConnect')
      await until(() => node.getConnections().length === 1)
      talk(socket)
      await closed(socket)
    } else {
      const dialled = Promise.withResolvers<void>()
      await using listener = await listenRaw(async socket => {
        await acceptTls(socket)
        const tls = tlsServer(socket, { ...good, ALPNProtocols: ['/yamux/1.0.0'] })
        tls.once('secure', async () => {
          await dialled.promise
          talk(socket)
        })
      })
      const connection = await node.dial(listener.addr)
      dialled.resolve()
      await until(() => connection.status !== 'open')
    }
    await until(() => node.getConnections().length === 0)
  })

  it.each([
    ['garbage', (socket: Socket) => socket.write(randomData(1_000))],
    ['a cut connection', (socket: Socket) => socket.destroy()],
    ['a reset', (socket: Socket) => socket.resetAndDestroy()],
    ['half a ClientHello', (socket: Socket) => socket.end(Buffer.from('160301020001', 'hex'))]
  ])('that answers with %s is let go', async (_, behave) => {
    const socket = await dialRaw(node)
    await proposeTls(socket)
    behave(socket)
    await closed(socket)
    await using listener = await listenRaw(async peer => {
      await acceptTls(peer)
      behave(peer)
    })
    await expect(node.dial(listener.addr)).rejects.toBeInstanceOf(TlsHandshakeError)
  })

  it('that says nothing more is let go in time', async () => {
    const start = performance.now()
    const socket = await dialRaw(impatient)
    await proposeTls(socket)
    await closed(socket)
    expect(performance.now() - start).toBeGreaterThan(SHORT_MS / 2)
  })

  it('that sends a handshake byte by byte, and slowly, is let go in time', async () => {
    const socket = await dialRaw(impatient)
    await proposeTls(socket)
    const timer = setInterval(() => socket.write(Buffer.from([0x16])), 100)
    await closed(socket)
    clearInterval(timer)
  })

  it('that says nothing can be given up by who dials', async () => {
    await using listener = await listenRaw(acceptTls)
    const failure = await node
      .dial(listener.addr, { signal: AbortSignal.timeout(200) })
      .catch((error: unknown) => error)
    expect(String(failure)).toMatch(/TLS handshake failed: it took too long|aborted|timeout/i)
  })
})

describe('who does not read', () => {
  it('is let go in time when our answer to his proposal cannot be sent', async () => {
    const accepted = acceptedSocket()
    // In place of the 80,000 questions whose answers would fill the system's buffers.
    await using busy = await startNode('ours', {
      upgradeTimeoutMs: SHORT_MS,
      connectionGater: {
        denyInboundConnection: async () => {
          await fillUp(await accepted)
          return false
        }
      }
    })
    const socket = await dialRaw(busy)
    socket.write(Buffer.concat([HEADER, message(TLS)]))
    await gone(await accepted)
    socket.destroy()
  })

  it('is let go in time when he has sent all he wanted to', async () => {
    const accepted = acceptedSocket()
    await using patient = await startNode('ours', { transport: { inboundSocketInactivityTimeout: 2_000 } })
    const socket = await dialRaw(patient)
    await proposeTls(socket)
    const tls = tlsClient(socket, { ...good, ALPNProtocols: ['/yamux/1.0.0'] })
    await once(tls, 'secureConnect')
    tls.pause()
    // Each is answered. When the answers are more than the system's buffers take, the node has something left to send.
    const pings = Buffer.concat(Array.from({ length: 1_000 }, yamuxPing))
    for (let i = 0; i < 400; i++) await new Promise(resolve => tls.write(pings, resolve))
    tls.end()
    await gone(await accepted)
    tls.destroy()
  })
})

describe('a peer that makes a record of each byte', () => {
  it('has no more of them handed on at a time than the muxer can bear', async () => {
    let [bytes, mostPieces] = [0, 0]
    await using victim = await startNode('ours', {
      onSecured: connection =>
        connection.addEventListener('message', ({ data }) => {
          bytes += data.byteLength
          mostPieces = Math.max(mostPieces, data instanceof Uint8Array ? 1 : [...data].length)
        })
    })
    const socket = await dialRaw(victim)
    await proposeTls(socket)
    const held = holding(socket)
    const tls = tlsClient(held, { ...good, ALPNProtocols: ['/yamux/1.0.0'] })
    await once(tls, 'secureConnect')
    held.hold()
    const pings = Buffer.concat(Array.from({ length: 200 }, yamuxPing))
    for (const byte of pings) await new Promise(resolve => tls.write(Uint8Array.of(byte), resolve))
    held.release()
    await until(() => bytes === pings.length)
    expect(mostPieces).toBeLessThanOrEqual(GATHERED_PIECES)
    tls.destroy()
  })
})

describe('who dials', () => {
  it('may wait for our header before proposing', async () => {
    const socket = await dialRaw(node)
    socket.write(HEADER)
    expect(await readMessage(socket)).toBe('/multistream/1.0.0')
    socket.write(message(TLS))
    expect(await readMessage(socket)).toBe(TLS)
    const tls = tlsClient(socket, good)
    await once(tls, 'secureConnect')
    tls.destroy()
  })

  it('may propose what we do not know first, and then noise or TLS', async () => {
    for (const wanted of [TLS, '/noise']) {
      const socket = await dialRaw(node)
      socket.write(Buffer.concat([HEADER, message('/plaintext/2.0.0')]))
      expect(await readMessage(socket)).toBe('/multistream/1.0.0')
      expect(await readMessage(socket)).toBe('na')
      socket.write(message(wanted))
      expect(await readMessage(socket)).toBe(wanted)
      socket.destroy()
    }
  })

  it('may speak byte by byte, and begin TLS in the same breath', async () => {
    const socket = await dialRaw(node)
    for (const byte of Buffer.concat([HEADER, message(TLS)])) {
      socket.write(Buffer.from([byte]))
      await new Promise(resolve => setImmediate(resolve))
    }
    // Not waiting for the answer: what comes with the proposal is TLS's.
    const tls = withoutAnswer(socket)
    await once(tls, 'secureConnect')
    tls.destroy()
  })

  it('may send all in one piece', async () => {
    const socket = await dialRaw(node)
    socket.cork()
    socket.write(Buffer.concat([HEADER, message(TLS)]))
    const tls = withoutAnswer(socket)
    setImmediate(() => socket.uncork())
    await once(tls, 'secureConnect')
    tls.destroy()
  })

  it.each([
    ['nothing', (_: Socket) => undefined],
    [
      'a byte now and then',
      (socket: Socket) => setInterval(() => socket.write(HEADER.subarray(0, 1)), 100).unref()
    ]
  ])('and says %s is let go in time', async (_, behave) => {
    const socket = await dialRaw(impatient)
    const timer = behave(socket)
    await closed(socket)
    clearInterval(timer)
  })

  it('many at a time and say nothing do not end the node', async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, async () => await dialRaw(impatient)))
    await Promise.all(sockets.map(closed))
  })

  it('and sends any bytes is let go', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 100 }),
          fc.uint8Array({ maxLength: 100 }).map(bytes => Buffer.concat([HEADER, bytes])),
          fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.concat([HEADER, message(TLS), bytes]))
        ),
        async bytes => {
          const socket = await dialRaw(node)
          socket.end(bytes)
          await closed(socket)
        }
      ),
      { numRuns: 300 }
    )
    expect(node.getConnections()).toEqual([])
  })
})

describe('who is dialled', () => {
  it.each([
    [
      'says no to everything',
      (socket: Socket) => socket.write(Buffer.concat([HEADER, message('na'), message('na')]))
    ],
    ['sends garbage', (socket: Socket) => socket.write(randomData(200))],
    ['hangs up', (socket: Socket) => socket.destroy()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()]
  ])('and %s is an error', async (_, behave) => {
    await using listener = await listenRaw(behave)
    await expect(node.dial(listener.addr)).rejects.toThrow()
  })

  it('and says nothing can be given up', async () => {
    await using listener = await listenRaw(() => undefined)
    await expect(node.dial(listener.addr, { signal: AbortSignal.timeout(200) })).rejects.toThrow()
  })

  it('may wait for our header, answer it, and then answer the proposal', async () => {
    await using listener = await listenRaw(async socket => {
      await readMessage(socket)
      socket.write(HEADER)
      await readMessage(socket)
      socket.write(message(TLS))
      tlsServer(socket, { ...good, ALPNProtocols: ['/yamux/1.0.0'] })
    })
    const connection = await node.dial(listener.addr)
    expect(connection.encryption).toBe(TLS)
    connection.abort(new Error('enough'))
  })
})

/** A frame of version 0 and type 2, with the flag SYN. */
function yamuxPing(): Buffer {
  return Buffer.from('000200010000000000000000', 'hex')
}

/** The node's end of the next connection that is accepted in this process. */
async function acceptedSocket(): Promise<Socket> {
  return await new Promise(resolve => {
    const onSocket = (event: unknown): void => {
      unsubscribe('net.server.socket', onSocket)
      resolve((event as { socket: Socket }).socket)
    }
    subscribe('net.server.socket', onSocket)
  })
}

/** Writes until the system takes no more, and less stays in the socket than would make its writer wait. */
async function fillUp(socket: Socket): Promise<void> {
  const piece = Buffer.alloc(8 * 1024)
  for (let idle = 0; idle < 10; idle++) {
    while (socket.writableLength === 0) {
      socket.write(piece)
      idle = 0
    }
    await sleep(5)
  }
}

/** Resolves when it is closed, without reading from it. */
async function gone(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve))
}

/** What is written to it goes to the socket, all at once where it was held. */
function holding(socket: Socket): Duplex & { hold(): void; release(): void } {
  const inner = new Duplex({
    read: () => socket.resume(),
    write: (chunk, _, done) => {
      socket.write(chunk)
      done()
    },
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    }
  })
  socket.on('data', (bytes: Buffer) => inner.push(bytes))
  socket.on('close', () => inner.destroy())
  return Object.assign(inner, { hold: () => socket.cork(), release: () => socket.uncork() })
}

/** Starts TLS on top of a negotiation whose answer has not been read. */
function withoutAnswer(socket: Socket): TLSSocket {
  const answer = HEADER.length + message(TLS).length
  let seen = 0
  const inner = new Duplex({
    read: () => socket.resume(),
    write: (chunk, _, done) => socket.write(chunk, done),
    final: done => socket.end(done),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    }
  })
  socket.on('data', (bytes: Buffer) => {
    const skip = Math.max(0, Math.min(bytes.length, answer - seen))
    seen += bytes.length
    if (skip < bytes.length) inner.push(bytes.subarray(skip))
  })
  socket.on('close', () => inner.destroy())
  return tlsClient(inner, good)
}
