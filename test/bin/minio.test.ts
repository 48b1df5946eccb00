/** `bin/minio.sh` with engines that are not real: how it finds them, what it asks of them, and what it says when there are none. */
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeEngines } from './fake-engines.ts'
import { type Ran, Sandbox } from './support.ts'

const PASSWORD = 'a secret that nobody may see'

describe('bin/minio.sh', () => {
  let sandbox: Sandbox
  let fakes: FakeEngines
  let env: Record<string, string>

  beforeEach(async () => {
    sandbox = await Sandbox.create()
    fakes = await FakeEngines.start(sandbox)
    const [port, consolePort] = await freePorts()
    env = {
      MINIO_PORT: `${port}`,
      MINIO_CONSOLE_PORT: `${consolePort}`,
      MINIO_DATA: join(sandbox.folder, 'the data'),
      MINIO_ROOT_USER: 'somebody',
      MINIO_ROOT_PASSWORD: PASSWORD
    }
  })
  afterEach(async () => {
    await minio('stop')
    await fakes.stop()
    await sandbox[Symbol.asyncDispose]()
  })

  const minio = (...args: string[]): Promise<Ran> => sandbox.run('minio.sh', args, env)
  const called = (name: string, command: string) =>
    fakes.calls.filter(call => call.name === name && call.args[0] === command)

  it('explains itself', async () => {
    const help = await minio('--help')
    expect(help).toMatchObject({ code: 0, stderr: '' })
    for (const command of ['start', 'stop', 'status', 'endpoint', 'console'])
      expect(help.stdout).toContain(`  ${command} `)
    expect(help.stdout).not.toContain(PASSWORD)
  })

  it('refuses what it does not understand', async () => {
    expect(await minio()).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage') })
    expect(await minio('begin')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no command 'begin'")
    })
    expect(await minio('start', 'stop')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('one command')
    })
    env.MINIO_PORT = 'http'
    await fakes.add('docker')
    expect(await minio('start')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("'http' is not a port")
    })
  })

  it('prints its addresses', async () => {
    expect((await minio('endpoint')).stdout).toBe(`http://127.0.0.1:${env.MINIO_PORT}\n`)
    expect((await minio('console')).stdout).toBe(`http://127.0.0.1:${env.MINIO_CONSOLE_PORT}\n`)
  })

  describe('engines', () => {
    it('are all named when there is none', async () => {
      const { code, stderr } = await minio('start')
      expect(code).toBe(1)
      for (const way of ['docker', 'podman', 'minio', 'bin/ceph.sh']) expect(stderr).toContain(way)
    })

    it('that do not work are named', async () => {
      await fakes.add('docker')
      fakes.broken.add('docker')
      const { code, stderr } = await minio('start')
      expect(code).toBe(1)
      expect(stderr).toContain("docker is installed, but 'docker info' fails")
    })

    it.each([
      ['docker', ['docker', 'podman', 'minio'], []],
      ['podman', ['docker', 'podman', 'minio'], ['docker']],
      ['podman', ['podman', 'minio'], []],
      ['minio', ['docker', 'minio'], ['docker']],
      ['minio', ['minio'], []]
    ])('%s of %j when %j do not work', async (wanted, there, broken) => {
      for (const name of there) await fakes.add(name)
      for (const name of broken) fakes.broken.add(name)
      expect(await minio('start')).toMatchObject({
        code: 0,
        stderr: expect.stringContaining(`MinIO (${wanted})`)
      })
    })

    it('can be chosen', async () => {
      for (const name of ['docker', 'podman']) await fakes.add(name)
      env.MINIO_ENGINE = 'podman'
      expect(await minio('start')).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('MinIO (podman)')
      })
      expect(fakes.calls).not.toContainEqual(expect.objectContaining({ name: 'docker' }))
      await minio('stop')
      env.MINIO_ENGINE = 'minio'
      expect(await minio('start')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('not on the PATH')
      })
      env.MINIO_ENGINE = 'lxc'
      expect(await minio('start')).toMatchObject({ code: 1, stderr: expect.stringContaining("not 'lxc'") })
      delete env.MINIO_ENGINE
    })
  })

  describe.each(['docker', 'podman'])('in a container of %s', engine => {
    beforeEach(async () => {
      await fakes.add(engine)
    })

    it('listens on this machine only, keeps its data in the folder, and the password out of the arguments', async () => {
      expect((await minio('start')).code).toBe(0)
      const [run] = called(engine, 'run')
      expect(run).toMatchObject({ user: 'somebody', password: PASSWORD })
      const args = run!.args.join(' ')
      expect(args).toContain(`--publish 127.0.0.1:${env.MINIO_PORT}:9000`)
      expect(args).toContain(`--publish 127.0.0.1:${env.MINIO_CONSOLE_PORT}:9001`)
      expect(run!.args).toContain(`${env.MINIO_DATA}:/data:Z`)
      expect(run!.args.includes('--user')).toBe(engine === 'docker')
      for (const call of fakes.calls) expect(call.args.join(' ')).not.toContain(PASSWORD)
    })

    it('creates the bucket, signed', async () => {
      env.MINIO_BUCKET = 'my-bucket'
      await minio('start')
      const [request] = called('request', 'PUT')
      expect(request?.args).toEqual(['PUT', '/my-bucket'])
      expect(request?.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=somebody\//)
    })

    it('starts once, says whether it runs, and stops once', async () => {
      expect(await minio('status')).toMatchObject({ code: 3, stdout: 'stopped\n' })
      expect((await minio('start')).code).toBe(0)
      expect(await minio('start')).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('already running')
      })
      expect(called(engine, 'run')).toHaveLength(1)
      expect(await minio('status')).toMatchObject({
        code: 0,
        stdout: `running (${engine}) at http://127.0.0.1:${env.MINIO_PORT}\n`
      })
      expect(await minio('stop')).toMatchObject({ code: 0, stderr: expect.stringContaining('stopped') })
      expect(await minio('stop')).toMatchObject({ code: 0, stderr: expect.stringContaining('not running') })
      expect(called(engine, 'stop')).toHaveLength(1)
      expect((await minio('status')).code).toBe(3)
    })

    it('shows its last words when it does not answer', async () => {
      fakes.isSick = true
      env.BLOBS_WAIT = '1'
      const { code, stderr } = await minio('start')
      expect(code).toBe(1)
      expect(stderr).toContain('last words of the container')
      expect(stderr).toContain('does not answer')
      expect(await minio('status')).toMatchObject({
        code: 3,
        stdout: expect.stringContaining('does not answer')
      })
    })

    it('does not start where somebody else listens', async () => {
      const other = createServer().listen(Number(env.MINIO_PORT), '127.0.0.1')
      expect(await minio('start')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`port ${env.MINIO_PORT} is in use`)
      })
      expect(called(engine, 'run')).toHaveLength(0)
      await new Promise(resolve => other.close(resolve))
    })
  })

  describe('as a program', () => {
    beforeEach(async () => {
      await fakes.add('minio')
    })

    it('starts once, says whether it runs, and stops once', async () => {
      expect((await minio('start')).code).toBe(0)
      expect(await minio('start')).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('already running')
      })
      expect(called('minio', 'server')).toEqual([
        {
          name: 'minio',
          args: [
            'server',
            env.MINIO_DATA,
            '--address',
            `127.0.0.1:${env.MINIO_PORT}`,
            '--console-address',
            `127.0.0.1:${env.MINIO_CONSOLE_PORT}`
          ],
          user: 'somebody',
          password: PASSWORD
        }
      ])
      expect((await minio('status')).code).toBe(0)
      expect(await minio('stop')).toMatchObject({ code: 0, stderr: expect.stringContaining('stopped') })
      expect((await minio('status')).code).toBe(3)
      await expect(fetch(`http://127.0.0.1:${env.MINIO_PORT}`)).rejects.toThrow()
    })

    it('shows its last words when it ends', async () => {
      await sandbox.program('minio', 'echo the disk is missing; exit 1')
      await mkdir(env.MINIO_DATA!)
      env.BLOBS_WAIT = '1'
      expect(await minio('start')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('the disk is missing')
      })
    })
  })
})

/** Two ports on which nobody listens now. */
async function freePorts(): Promise<number[]> {
  const servers = [0, 0].map(() => createTcpServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => new Promise(resolve => server.once('listening', resolve))))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}
