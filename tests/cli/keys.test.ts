/** `sarf keys` as custodians and scripts run it, over a token of SoftHSM. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { checkValueOf, combineComponents } from '../../src/security/keyComponents.ts'
import { openPkcs11KeyStore } from '../../src/security/pkcs11Keys.ts'
import { softHsm } from '../support/softHsm.ts'
import { temporaryDirectory } from '../support/stack.ts'
import { runSarf, type Ran } from './runSarf.ts'

const token = softHsm()

interface Listed {
  readonly store: string
  readonly keys: readonly { readonly name: string; readonly kcv: string; readonly exportable: boolean }[]
  readonly problems: readonly { readonly name: string; readonly problem: string }[]
}

/** What a custodian copies from the screen. */
function componentOf({ code, stdout, stderr }: Ran): { digits: string; kcv: string } {
  expect([code, stderr]).toEqual([0, ''])
  const [, digits, kcv] = /^component {4}([\dA-F ]+)\ncheck value {2}([\dA-F]{6})\n$/.exec(stdout) ?? []
  if (digits === undefined || kcv === undefined) expect.fail(`no component: ${String(stdout.length)} characters`)
  return { digits, kcv }
}

describe.runIf(token !== undefined)('sarf keys on a token', () => {
  const environment = {
    SARF_HSM: 'pkcs11',
    SARF_PKCS11_MODULE: token?.module ?? '',
    SARF_PKCS11_TOKEN: token?.tokenLabel ?? '',
    SARF_PKCS11_PIN: token?.pin ?? '',
  }
  const keys = (args: string, input?: string): Promise<Ran> => runSarf(['keys', ...args.split(' ')], environment, input)
  const listed = async (): Promise<Listed> => JSON.parse((await keys('list --json')).stdout) as Listed

  beforeAll(() => {
    const store = openPkcs11KeyStore(token!)
    for (const { name } of store.list()) store.remove(name)
    store.close()
  })

  it('two components make a key; under it a session key goes out, comes back, and is removed', async () => {
    const load = 'load --name zmk.x --usage K1 --algorithm aes256 --components 2'
    const [first, second] = [
      componentOf(await keys('component --algorithm aes256')),
      componentOf(await keys('component --algorithm aes256')),
    ]
    const lines = `${first.digits}\n${second.digits}\n`
    const value = combineComponents(
      'A',
      [first, second].map(({ digits }) => Buffer.from(digits.replaceAll(' ', ''), 'hex')),
    )
    const kcv = checkValueOf('A', value)

    const unconfirmed = await keys(load, lines)
    expect(unconfirmed).toMatchObject({ code: 2, stdout: '' })
    expect(unconfirmed.stderr).toMatch(/^error: say --kcv for each of the 2 components.*\n$/)
    const mistaken = await keys(`${load} --kcv ${first.kcv} --kcv ${first.kcv}`, lines)
    expect(mistaken).toMatchObject({ code: 1, stdout: '' })
    expect(mistaken.stderr).toBe(`error: component 2 has check value ${second.kcv}, not ${first.kcv}\n`)
    expect((await listed()).keys).toEqual([])

    const loaded = await keys(`${load} --kcv ${first.kcv} --kcv ${second.kcv} --key-kcv ${kcv}`, lines)
    const description = `key zmk.x: K1, AES of 32 bytes, check value ${kcv}, not exportable`
    expect(loaded).toEqual({ code: 0, stdout: `${description}\n`, stderr: '' })
    const again = await keys(`${load} --kcv ${first.kcv} --kcv ${second.kcv}`, lines)
    expect(again.stderr).toBe(`error: key zmk.x is there already, check value ${kcv}: choose another name, or say --replace\n`)
    expect(again.code).toBe(1)

    const generated = await keys('generate --name zpk.pos --usage P0 --algorithm tdes --exportable')
    expect([generated.code, generated.stderr]).toEqual([0, ''])
    const [, zpkKcv] = /^key zpk\.pos: P0, TDES of 16 bytes, check value ([\dA-F]{6}), exportable\n$/.exec(generated.stdout) ?? []
    const exported = await keys('export --name zpk.pos --under zmk.x')
    expect(exported.stdout).toMatch(/^D\d{4}P0TB00E\d{4}[\dA-F]+\n$/)
    expect(exported.stderr).toBe(`key zpk.pos, check value ${zpkKcv!}, under zmk.x:\n`)
    const file = join(temporaryDirectory(), 'block.txt')
    writeFileSync(file, exported.stdout)
    const description2 = (name: string) => `key ${name}: P0, TDES of 16 bytes, check value ${zpkKcv!}, exportable`
    expect(await keys(`import --name zpk.atm --under zmk.x ${file}`)).toMatchObject({
      code: 0,
      stdout: `${description2('zpk.atm')}\n`,
    })
    const fromInput = await keys('import --name zpk.atm --under zmk.x --replace', exported.stdout)
    expect(fromInput).toMatchObject({ code: 0, stdout: `${description2('zpk.atm')}\n` })

    const { stdout: text, code } = await keys('list')
    expect(code).toBe(1)
    expect(text).toMatch(
      /^name +usage +algorithm +bytes +check value +exportable\nzmk\.x +K1 +AES +32 +[\dA-F]{6} +no\nzpk\.atm +P0 /,
    )
    expect(text).toMatch(/\nlink pos: pin\.aesKey: key zpk-aes\.pos is missing: it is for P0 with AES\n/)
    for (const secret of [first.digits, second.digits, value.toString('hex')]) {
      expect(text + exported.stdout + loaded.stdout).not.toContain(secret.replaceAll(' ', ''))
    }

    const unasked = await keys('remove --name zpk.atm')
    expect(unasked).toMatchObject({ code: 2, stderr: 'error: say --yes to remove a key without being asked\n' })
    const removed = await keys('remove --name zpk.atm --yes')
    expect(removed).toEqual({ code: 0, stdout: `removed ${description2('zpk.atm')}\n`, stderr: '' })
    expect((await listed()).keys).toEqual([
      expect.objectContaining({ name: 'zmk.x', kcv, exportable: false }),
      expect.objectContaining({ name: 'zpk.pos', kcv: zpkKcv, exportable: true }),
    ])
  })

  it('refuses in one line what must not be', async () => {
    expect(await keys('generate --name zpk.pos --usage P0 --algorithm hmac')).toMatchObject({
      code: 2,
      stderr: 'error: a key for P0 is tdes, tdes3, aes128, aes192, aes256\n',
    })
    expect(await keys('export --name zmk.x --under zmk.x')).toMatchObject({ code: 1, stdout: '' })
    const changed = await keys('import --name other --under zmk.x', 'D0112P0TB00E0000' + '0'.repeat(96))
    expect(changed).toMatchObject({ code: 1, stdout: '', stderr: 'error: the MAC is not of key zmk.x\n' })
    expect(await keys('import --name other --under zmk.x /nowhere/block')).toMatchObject({ code: 2, stdout: '' })
    expect((await keys('generate --name other --usage X9 --algorithm tdes')).code).toBe(2)
    expect((await listed()).keys.map(({ name }) => name)).toEqual(['zmk.x', 'zpk.pos'])
  })

  it('list exits 0 when every key of the configuration is there as the switch needs it', async () => {
    const store = openPkcs11KeyStore(token!)
    for (const { name } of store.list()) store.remove(name)
    for (const key of developmentKeys()) store.put(key)
    store.close()
    expect((await keys('list')).code).toBe(0)
    const wrong = openPkcs11KeyStore(token!)
    wrong.remove('cvk.9818')
    wrong.put({ ...developmentKeys().find(({ name }) => name === 'zpk.pos')!, name: 'cvk.9818' })
    wrong.close()
    expect((await keys('list')).code).toBe(1)
    const problem = 'is for P0 with TDES of 16 bytes, not for C0 with TDES'
    expect((await listed()).problems).toEqual([
      { name: 'cvk.9818', namedBy: 'profile 9818: cardValue.key', problem },
      { name: 'cvk.9818', namedBy: 'profile 981805: cardValue.key', problem },
    ])
  })

  it('says what to look at when the token does not answer', async () => {
    const ran = await runSarf(['keys', 'list'], { ...environment, SARF_PKCS11_TOKEN: 'other' })
    expect(ran).toMatchObject({ code: 3, stdout: '' })
    expect(ran.stderr).toMatch(/^error: there is no token other at .*; look at SARF_PKCS11_MODULE, .*\n$/)
  })
})

describe('sarf keys of the software store', () => {
  it('lists the development keys, says that everybody knows them, and keeps nothing', async () => {
    const { code, stdout } = await runSarf(['keys', 'list'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/everybody knows them\.\n$/)
    for (const args of [
      'generate --name new --usage P0 --algorithm tdes',
      'load --name new --usage P0 --algorithm tdes',
      'remove --name zpk.pos --yes',
      'import --name new --under transport.pos',
    ]) {
      const ran = await runSarf(['keys', ...args.split(' ')])
      expect(ran).toMatchObject({ code: 2, stdout: '' })
      expect(ran.stderr).toMatch(
        /^error: the keys of the software store are fixed and nothing can be kept there: set SARF_HSM=pkcs11.*\n$/,
      )
    }
  })

  it('is refused in production', async () => {
    const ran = await runSarf(['keys', 'list'], { NODE_ENV: 'production' })
    expect(ran).toMatchObject({ code: 2, stdout: '' })
    expect(ran.stderr).toMatch(/^error: SARF_HSM must be pkcs11 in production.*\n$/)
  })
})
