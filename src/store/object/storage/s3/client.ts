/**
 * The minio client, made fit for a server that is far away. It builds, addresses and signs the requests; sending them, waiting,
 * giving up, trying again and telling what went wrong are done here, because it knows neither signals nor timeouts, tries again
 * with a line on the terminal, and reads answers of any length.
 */
import { EventEmitter } from 'node:events'
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { Readable } from 'node:stream'
import type { Client, ClientOptions } from 'minio'
import { StoreClosedError } from '../../../errors.ts'
import { KeyedMutex } from '../../../mutex.ts'
import { abortable } from '../../../waiting.ts'
import { StorageError } from '../errors.ts'
import type { Body } from './body.ts'
import type { Connection } from './connection.ts'
import { MAX_ANSWER_BYTES, MAX_ERROR_BYTES, WORK_TIMEOUT_FACTOR } from './constants.ts'
import { explain } from './explain.ts'
import { failureOfAnswer, foreignAnswer, S3Failure } from './failure.ts'
import type { S3Settings } from './options.ts'
import { Tries } from './retry.ts'
import { SignedGets } from './signed-gets.ts'
import { statOnce } from './stat.ts'

/** One request, as far as S3 sees it. */
export interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Without the storage's prefix; undefined for the bucket itself. */
  readonly key?: string | undefined
  /** Encoded. */
  readonly query?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: readonly Uint8Array[] | undefined
  /** Whether the server has work to do before it answers. */
  readonly isWork?: boolean | undefined
}

/** An answer that is a success. Its body has to be read or closed. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Body
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined
  /** Whose absence an answer of "not found" means. */
  readonly key?: string | undefined
  /** How long to try again, in ms, if not as long as the settings say. */
  readonly retryForMs?: number | undefined
}

export class S3Client {
  /** The storage's name. */
  readonly name: string
  readonly bucket: string
  readonly prefix: string
  readonly region: string
  readonly #settings: S3Settings
  readonly #Minio: typeof Client
  readonly #minio: ClientOptions
  readonly #connection: Connection
  readonly #gets = new SignedGets(key => this.#signed({ method: 'GET', key }))
  readonly #closing = new AbortController()
  readonly #writing = new KeyedMutex()

  /** Loads minio's client and HTTP, which take 25 MiB and a tenth of a second: whoever has his blobs elsewhere does without. */
  static async load(settings: S3Settings): Promise<S3Client> {
    const [{ Client: Minio }, { Connection }] = await Promise.all([
      import('minio'),
      import('./connection.ts')
    ])
    const isTls = new URL(settings.endpoint).protocol === 'https:'
    return new S3Client(settings, Minio, new Connection(isTls, settings.connectTimeoutMs))
  }

  private constructor(settings: S3Settings, Minio: typeof Client, connection: Connection) {
    this.#Minio = Minio
    this.#connection = connection
    const { protocol, hostname, port, origin } = new URL(settings.endpoint)
    const isTls = protocol === 'https:'
    this.#settings = settings
    this.bucket = settings.bucket
    this.prefix = settings.prefix
    this.region = settings.region
    this.name = `bucket ${this.bucket} at ${origin}${this.prefix && ` below ${this.prefix}`}`
    const { accessKey, secretKey, sessionToken } = settings.credentials
    this.#minio = {
      // An IPv6 address stands between brackets only in URLs.
      endPoint: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (isTls ? 443 : 80) : Number(port),
      useSSL: isTls,
      region: settings.region,
      pathStyle: settings.pathStyle ?? true,
      accessKey,
      secretKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      retryOptions: { disableRetry: true }
    }
  }

  /** The key as the bucket has it. */
  fullKey(key: string): string {
    return this.prefix + key
  }

  /** How a request to copy names an object. */
  copySource(key: string): string {
    return `/${this.bucket}/${this.fullKey(key).split('/').map(encodeURIComponent).join('/')}`
  }

  /**
   * Writes of one key are made one after the other: a check of what was written would else find what another one wrote.
   *
   * @throws the signal's reason, also when it aborts while waiting for the others
   */
  async writing(key: string, signal: AbortSignal, write: () => Promise<void>): Promise<void> {
    const turn = Promise.withResolvers<void>()
    const running = this.#writing.run(key, async () => {
      signal.throwIfAborted()
      turn.resolve()
      await write()
    })
    running.catch(turn.reject)
    await abortable(turn.promise, signal)
    await running
  }

  /**
   * Makes sure that what the server has just said to have stored is there.
   *
   * @returns its size in bytes
   */
  async storedSize(key: string, size: number, signal: AbortSignal): Promise<number> {
    const info = await this.run(`cannot look at ${key} in`, { signal }, signal => statOnce(this, key, signal))
    if (info === undefined) throw this.wronglyStored(key, size, 'it is not there')
    return info.size
  }

  wronglyStored(key: string, size: number, found: string): StorageError {
    return new StorageError(
      `${this.name} said that the ${size} bytes of ${key} are stored, but ${found}; write it again`
    )
  }

  /** @throws StoreClosedError, or the signal's reason: nothing may begin any more */
  check(signal?: AbortSignal): void {
    if (this.#closing.signal.aborted) throw new StoreClosedError()
    signal?.throwIfAborted()
  }

  /** A signal that aborts with this one, and when the storage is closed. */
  signalWith(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal])
  }

  tries(signal: AbortSignal, forMs = this.#settings.retryForMs): Tries {
    return new Tries(forMs, signal)
  }

  /**
   * Does something until it succeeds or trying again is no use.
   *
   * @param what what could not be done, for the message: `cannot write a/b to`
   * @param action is called with how many tries have failed
   * @throws StorageError or one of its kinds, StoreFullError, StoreClosedError, the signal's reason
   */
  async run<T>(
    what: string,
    options: RunOptions,
    action: (signal: AbortSignal, failures: number) => Promise<T>
  ): Promise<T> {
    this.check(options.signal)
    const signal = this.signalWith(options.signal)
    const tries = this.tries(signal, options.retryForMs)
    while (true) {
      try {
        return await action(signal, tries.failures)
      } catch (failure) {
        try {
          await tries.failed(failure)
        } catch (error) {
          throw this.explained(error, what, signal, options.key)
        }
      }
    }
  }

  /** The error to throw for a failure; what it says is free of secrets, whatever the server says. */
  explained(error: unknown, what: string, signal: AbortSignal, key?: string): unknown {
    if (signal.aborted) return signal.reason
    const { bucket, name, region } = this
    return explain(this.#withoutSecrets(error), { what, name, bucket, region, key })
  }

  /** Sends one request, once. @throws S3Failure unless the answer is a success; the signal's reason */
  async send(call: Call, signal: AbortSignal): Promise<Answer> {
    return await this.#exchange(await this.#signed(call), call.body ?? [], signal, call.isWork)
  }

  /** Asks for bytes of an object, once. @param range as the header has it. @throws as {@link send} */
  async get(key: string, range: string, signal: AbortSignal): Promise<Answer> {
    const request = await this.#gets.request(key, range)
    try {
      return await this.#exchange(request, [], signal)
    } catch (failure) {
      this.#gets.forget(key)
      throw failure
    }
  }

  /** Sends one request, once, and reads the answer as text. @throws as {@link send} */
  async ask(
    call: Call,
    signal: AbortSignal
  ): Promise<{ status: number; text: string; headers: Answer['headers'] }> {
    const { status, headers, body } = await this.send(call, signal)
    return { status, headers, text: await body.text(MAX_ANSWER_BYTES) }
  }

  /**
   * One call of the minio client, once.
   *
   * @throws S3Failure, the signal's reason
   */
  async call<T>(signal: AbortSignal, action: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#client(async (request, payload) => {
      const answer = await this.#exchange(request, [payload], signal)
      const text = await answer.body.text(MAX_ANSWER_BYTES)
      const message = Readable.from([Buffer.from(text)], { objectMode: false })
      return Object.assign(message, { statusCode: answer.status, headers: answer.headers }) as IncomingMessage
    })
    try {
      return await action(client)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof S3Failure) throw error
      // The exchange was a success: it is the answer's form that the client cannot make sense of.
      throw foreignAnswer(
        `the answer has an unknown form (${error instanceof Error ? error.message : error})`
      )
    }
  }

  /** Ends all requests. */
  close(): void {
    this.#closing.abort(new StoreClosedError())
    this.#connection.close()
  }

  /** A client whose requests are sent by `exchange`, which answers with a success or throws. */
  #client(exchange: (request: RequestOptions, payload: Uint8Array) => Promise<IncomingMessage>): Client {
    const request = (options: RequestOptions, onAnswer: (answer: IncomingMessage) => void) => {
      const pending = new EventEmitter()
      const end = (payload: string | Uint8Array | null) => {
        const bytes = typeof payload === 'string' ? Buffer.from(payload) : (payload ?? NONE)
        exchange(options, bytes).then(onAnswer, error => pending.emit('error', error))
      }
      return Object.assign(pending, { end }) as unknown as ClientRequest
    }
    return new this.#Minio({
      ...this.#minio,
      transport: { request } as NonNullable<ClientOptions['transport']>
    })
  }

  /** The request for a call, as the minio client would send it. */
  async #signed(call: Call): Promise<RequestOptions> {
    let signed: RequestOptions | undefined
    const client = this.#client(async request => {
      signed = request
      return SENT
    })
    // The payload is not hashed: for the size of parts, that would hold the event loop for 30 ms.
    client.enableSHA256 = false
    const length = call.body?.reduce((sum, piece) => sum + piece.length, 0)
    const headers = {
      ...call.headers,
      ...(length === undefined ? {} : { 'content-length': String(length) })
    }
    await client.makeRequestStreamAsync(
      {
        method: call.method,
        bucketName: this.bucket,
        ...(call.key === undefined ? {} : { objectName: this.fullKey(call.key) }),
        query: call.query ?? '',
        headers
      },
      '',
      '',
      SUCCESSES,
      this.region
    )
    return signed!
  }

  async #exchange(
    request: RequestOptions,
    body: readonly Uint8Array[],
    signal: AbortSignal,
    isWork = false
  ): Promise<Answer> {
    const patienceMs = this.#settings.requestTimeoutMs * (isWork ? WORK_TIMEOUT_FACTOR : 1)
    const { message, body: answerBody } = await this.#connection.send(request, body, { signal, patienceMs })
    const answer = { status: message.statusCode!, headers: message.headers, body: answerBody }
    if (SUCCESSES.includes(answer.status)) return answer
    const { text } = await answer.body.beginning(MAX_ERROR_BYTES)
    throw failureOfAnswer(answer.status, answer.headers, text)
  }

  #withoutSecrets(error: unknown): unknown {
    if (!(error instanceof S3Failure)) return error
    const { secretKey, sessionToken } = this.#settings.credentials
    const hidden = [secretKey, sessionToken].filter(secret => secret !== undefined)
    if (!hidden.some(secret => error.message.includes(secret))) return error
    const message = hidden.reduce((text, secret) => text.replaceAll(secret, '***'), error.message)
    return new S3Failure(error.kind, message, {
      code: error.code,
      status: error.status,
      region: error.region
    })
  }
}

const NONE = new Uint8Array(0)
const SUCCESSES = [200, 204, 206]

/** What the client gets to see where it is not to send what it has signed. */
const SENT = { statusCode: 200, headers: {} } as IncomingMessage
