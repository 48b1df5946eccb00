/** `.ci/run` as far as its first check; what comes after that is left out by programs that do nothing. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Sandbox } from './support.ts'

describe('.ci/run', () => {
  let sandbox: Sandbox

  beforeEach(async () => {
    sandbox = await Sandbox.create()
    await sandbox.program('npm', 'exit 0')
  })
  afterEach(async () => {
    await sandbox[Symbol.asyncDispose]()
  })

  const ci = () => sandbox.run('../.ci/run', [], { BLOBS_CI_NO_S3: '1' })
  /** An apt-get that tells what it is asked to do, and does it. */
  const aptGet = async () => {
    await sandbox.program('prepared', 'echo "checks $*"')
    const path = join(sandbox.folder, 'path')
    const install = `[ "$1" = update ] || command -p ln -s '${path}/prepared' '${path}/shellcheck'`
    await sandbox.program('apt-get', `echo "apt-get $*"; ${install}`)
  }

  it('checks the shell scripts, and ends when they are not good', async () => {
    await sandbox.program('shellcheck', 'echo "checks $*"; exit 1')
    expect(await ci()).toMatchObject({ code: 1, stdout: expect.stringMatching(/^checks .*\.ci\/run$/m) })
  })

  it('installs what checks them, once', async () => {
    await aptGet()
    await sandbox.program('id', 'echo 0')
    expect(await ci()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^apt-get update.*\napt-get install .*shellcheck\nchecks /),
      stderr: ''
    })
    await sandbox.program('shellcheck', 'exit 0')
    expect((await ci()).stdout).not.toContain('apt-get')
  })

  it('does so by sudo when it is not root', async () => {
    await aptGet()
    await sandbox.program('id', 'echo 1000')
    await sandbox.program('sudo', 'echo "sudo $1"; shift; exec "$@"')
    expect((await ci()).stdout).toMatch(/^sudo --non-interactive\napt-get update/)
  })

  it('says loudly that they are not checked when it cannot', async () => {
    const loud = { code: 0, stderr: expect.stringContaining('NOT CHECKED') }
    expect(await ci()).toMatchObject(loud)
    await sandbox.program('id', 'echo 1000')
    await aptGet()
    expect(await ci()).toMatchObject(loud)
    await sandbox.program('id', 'echo 0')
    await sandbox.program('apt-get', 'exit 100')
    expect(await ci()).toMatchObject(loud)
  })
})
