/** Sends requests over sockets that are kept, and waits for answers as long as it was told and no longer. */
import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import { Body } from './body.ts'
import { MAX_SOCKETS, SOCKET_IDLE_MS, WRITE_BYTES } from './constants.ts'
import { failureOfNetwork, timeoutFailure } from './failure.ts'

export interface SendOptions {
  readonly signal: AbortSignal
  /** How long the server may neither take nor send a byte, in ms. */
  readonly patienceMs: number
}

/** An answer that has begun. */
export interface Begun {
  readonly message: IncomingMessage
  readonly body: Body
}

export class Connection {
  readonly #isTls: boolean
  readonly #agent: http.Agent
  readonly #connectTimeoutMs: number

  constructor(isTls: boolean, connectTimeoutMs: number) {
    this.#isTls = isTls
    this.#connectTimeoutMs = connectTimeoutMs
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, timeout: SOCKET_IDLE_MS }
    this.#agent = isTls ? new https.Agent(options) : new http.Agent(options)
  }

  /**
   * Sends a request and resolves when the answer begins, whatever it says. The answer's body has to be read or destroyed.
   * While it waits in line for a socket no time is counted: those who have one are bounded.
   *
   * @param body is the caller's again when the promise settles
   * @throws S3Failure, or the signal's reason
   */
  send(
    request: RequestOptions,
    body: readonly Uint8Array[],
    { signal, patienceMs }: SendOptions
  ): Promise<Begun> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Begun>()
    const sent = (this.#isTls ? https : http).request({ ...request, agent: this.#agent })
    let timer: NodeJS.Timeout | undefined
    let isAnswered = false

    const stop = (reason: unknown) => {
      reject(reason)
      sent.destroy()
    }
    const wait = (ms: number, forWhat: string) => {
      clearTimeout(timer)
      timer = setTimeout(() => stop(timeoutFailure(`${forWhat} within ${ms / 1000} s`)), ms)
    }
    const onConnected = () => wait(patienceMs, 'the server neither took nor sent a byte')
    const onAbort = () => stop(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })

    sent.once('socket', socket => {
      if (!socket.connecting) return onConnected()
      wait(this.#connectTimeoutMs, 'no connection came about')
      socket.once(this.#isTls ? 'secureConnect' : 'connect', onConnected)
    })
    sent.once('finish', () => timer?.refresh())
    sent.once('response', answer => {
      clearTimeout(timer)
      timer = undefined
      isAnswered = true
      // Who answers before the body has gone out has heard enough; what is left of it must not go out any more, because the
      // buffers will be the caller's again. After a success there is nothing left.
      const isTaken = sent.writableFinished || (sent.writableEnded && answer.statusCode! < 300)
      if (!isTaken) answer.once('end', () => sent.destroy())
      // What has come with the head is taken at once.
      resolve({ message: answer, body: new Body(answer, signal, patienceMs) })
    })
    sent.on('error', error => reject(failureOfNetwork(error, sent.reusedSocket)))
    sent.once('close', () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      if (isAnswered) return
      reject(failureOfNetwork(Object.assign(new Error('the connection ended'), { code: 'ECONNRESET' })))
    })

    const isOver = () => isAnswered || sent.destroyed
    void writeBody(sent, body, isOver, () => timer?.refresh()).catch(stop)
    return promise
  }

  /** Ends all sockets, also those in use. */
  close(): void {
    this.#agent.destroy()
  }
}

async function writeBody(
  request: ClientRequest,
  body: readonly Uint8Array[],
  isOver: () => boolean,
  onProgress: () => void
): Promise<void> {
  let isTaken = true
  for (const piece of body) {
    for (let at = 0; at < piece.length; at += WRITE_BYTES) {
      if (!isTaken) await drained(request)
      if (isOver()) return
      onProgress()
      isTaken = request.write(piece.subarray(at, at + WRITE_BYTES))
    }
  }
  request.end()
}

/** Waits until the socket has taken what was written, or is no more. */
function drained(request: ClientRequest): Promise<void> {
  if (request.destroyed) return Promise.resolve()
  return new Promise(resolve => {
    const done = () => {
      request.off('drain', done)
      request.off('close', done)
      resolve()
    }
    request.once('drain', done)
    request.once('close', done)
  })
}
