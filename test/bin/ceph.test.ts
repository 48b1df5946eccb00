/** `bin/ceph.sh` as far as it goes without Ceph: CI runs it with. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Sandbox } from './support.ts'

const PROGRAMS = ['ceph', 'ceph-mon', 'monmaptool', 'ceph-osd', 'radosgw', 'radosgw-admin']

describe('bin/ceph.sh', () => {
  let sandbox: Sandbox
  let data: string

  beforeEach(async () => {
    sandbox = await Sandbox.create()
    data = join(sandbox.folder, 'the data')
  })
  afterEach(async () => {
    await sandbox[Symbol.asyncDispose]()
  })

  const ceph = (args: readonly string[], env: Record<string, string> = {}) =>
    sandbox.run('ceph.sh', args, { CEPH_DATA: data, ...env })
  const programs = async (script: string) => {
    for (const name of PROGRAMS) await sandbox.program(name, script)
  }

  it('explains itself', async () => {
    const help = await ceph(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    for (const command of ['install', 'start', 'stop', 'status', 'env', 'wipe']) {
      expect(help.stdout).toContain(`  ${command} `)
    }
  })

  it('refuses what it does not understand', async () => {
    expect(await ceph([])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage') })
    expect(await ceph(['begin'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no command 'begin'")
    })
    expect(await ceph(['stop', 'wipe'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('one command')
    })
  })

  it('says what is missing and how to get it', async () => {
    expect(await ceph(['start'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/missing: ceph ceph-mon .*bin\/ceph\.sh install/)
    })
  })

  it('is stopped before it was started', async () => {
    expect(await ceph(['status'])).toMatchObject({ code: 3, stdout: 'stopped\n' })
    expect(await ceph(['stop'])).toMatchObject({ code: 0, stderr: expect.stringContaining('not running') })
    expect(await ceph(['wipe'])).toMatchObject({ code: 0, stderr: expect.stringContaining('nothing') })
    expect(await ceph(['env'])).toMatchObject({ code: 1, stderr: expect.stringContaining('start it first') })
  })

  it('leaves a folder alone that is not its own', async () => {
    await programs('exit 0')
    await mkdir(data)
    await writeFile(join(data, 'diary'), 'dear diary')
    expect(await ceph(['start'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('something else')
    })
    expect(await ceph(['wipe'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('was not made by')
    })
    expect(await readFile(join(data, 'diary'), 'utf8')).toBe('dear diary')
  })

  it('shows the last words of what fails, and leaves nothing running', async () => {
    await programs('echo the stars are not right; exit 1')
    const { code, stderr } = await ceph(['start'])
    expect(code).toBe(1)
    expect(stderr).toContain('the stars are not right')
    expect(stderr).toContain('monmaptool failed')
    expect((await ceph(['status'])).code).toBe(3)
    await sandbox.program('monmaptool', 'exit 0')
    await sandbox.program('ceph-mon', '[[ $* == *--mkfs* ]] || { echo the moon is down; exit 1; }')
    const monitor = await ceph(['start'])
    expect(monitor.code).toBe(1)
    expect(monitor.stderr).toContain('the moon is down')
    expect(monitor.stderr).toContain('ceph-mon has ended')
  })

  it('keeps what it chose at the first start, and the keys to its user', async () => {
    await programs('exit 1')
    await ceph(['start'])
    const settings = join(data, 'settings')
    const chosen = await readFile(settings, 'utf8')
    expect((await stat(settings)).mode & 0o777).toBe(0o600)
    await ceph(['start'])
    expect(await readFile(settings, 'utf8')).toBe(chosen)
    const { stdout } = await ceph(['env'])
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1]
    expect(value('BLOBS_TEST_S3_URL')).toBe(
      `s3://${value('AWS_ACCESS_KEY_ID')}:${value('AWS_SECRET_ACCESS_KEY')}@${value('S3_ENDPOINT')?.slice('http://'.length)}`
    )
    expect(value('BLOBS_S3_URL')).toBe(`${value('BLOBS_TEST_S3_URL')}/blobs`)
    expect(value('AWS_SECRET_ACCESS_KEY')).toMatch(/^[0-9a-f]{64}$/)
  })

  it('refuses other settings than those it was made with, and does not tell the secret', async () => {
    await programs('exit 1')
    await ceph(['start'], { CEPH_PORT: '24680', CEPH_SECRET_KEY: 'hunter2' })
    expect((await ceph(['env'])).stdout).toContain('S3_ENDPOINT=http://127.0.0.1:24680')
    for (const [name, value] of Object.entries({ CEPH_PORT: '24690', CEPH_SECRET_KEY: 'hunter3' })) {
      const { code, stderr } = await ceph(['start'], { [name]: value })
      expect(code).toBe(1)
      expect(stderr).toContain(`${name} is another one`)
      expect(stderr).not.toContain('hunter')
    }
    await ceph(['wipe'])
    expect(await ceph(['start'], { CEPH_SECRET_KEY: 'with space' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('letters and digits')
    })
    await ceph(['wipe'])
    expect(await ceph(['start'], { CEPH_PORT: 'http' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not a port')
    })
  })

  it.each([
    ['with a slash at its end', (path: string) => `${path}/`],
    ['by a relative path', (path: string) => relative(process.cwd(), path)],
    ['by a path with dots', (path: string) => join(path, 'x').replace(/x$/, '../the data/.')],
    ['by a symbolic link', (_: string, link: string) => link]
  ])('ends what runs, and only then removes the data, when the folder is named %s', async (_, nameOf) => {
    const link = join(sandbox.folder, 'link')
    await symlink(data, link)
    const env = { CEPH_DATA: nameOf(data, link) }
    for (const command of ['stop', 'wipe']) {
      await mkdir(data, { recursive: true })
      await writeFile(join(data, 'lock'), '')
      await writeFile(join(data, 'settings'), 'port=24680\n')
      const server = spawn('sleep', ['60'], { argv0: `sleep --conf ${data}/ceph.conf`, stdio: 'ignore' })
      const ended = once(server, 'exit')
      await writeFile(join(data, 'mon.pid'), `${server.pid}\n`)
      const { code, stderr } = await ceph([command], env)
      // Comes too late, unless it still runs.
      server.kill('SIGKILL')
      expect(await ended).toEqual([null, 'SIGTERM'])
      expect(code, stderr).toBe(0)
      expect(stderr).toContain('stopped')
    }
    await expect(stat(data)).rejects.toThrow('ENOENT')
  })

  it('installs as root, or by sudo', async () => {
    await sandbox.program('apt-get', 'echo "apt-get $*"')
    await sandbox.program('sudo', 'echo "sudo $1"; shift; exec "$@"')
    await sandbox.program('id', 'echo 0')
    const asRoot = await ceph(['install'])
    expect(asRoot.code).toBe(0)
    expect(asRoot.stdout).toMatch(/^apt-get update.*\napt-get install .*radosgw/)
    await sandbox.program('id', 'echo 1000')
    expect((await ceph(['install'])).stdout).toMatch(/^sudo --non-interactive\napt-get update/)
    await programs('exit 0')
    expect(await ceph(['install'])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('already installed')
    })
  })

  it('says why it cannot install', async () => {
    expect(await ceph(['install'])).toMatchObject({ code: 1, stderr: expect.stringContaining('no apt-get') })
    await sandbox.program('apt-get', 'exit 0')
    await sandbox.program('id', 'echo 1000')
    expect(await ceph(['install'])).toMatchObject({ code: 1, stderr: expect.stringContaining('no sudo') })
  })
})
