/** A token of SoftHSM, in a directory of its own: for tests of what keeps keys in a PKCS#11 token. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as Pkcs11js from 'pkcs11js'
import { afterAll } from 'vitest'
import type { Pkcs11Options } from '../../src/security/pkcs11Session.ts'

/** `SOFTHSM2` is the path of the library where it is somewhere else. Debian's, Fedora's, Homebrew's. */
const MODULES = [
  process.env['SOFTHSM2'],
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
].filter((path) => path !== undefined)
const TOKEN_LABEL = 'sarf-test'
const PIN = '648219'

export interface SoftHsm extends Pkcs11Options {
  /** Where the token's files are. */
  readonly tokens: string
  /** The same library in the same process, to do to the token what a store does not. */
  readonly library: Pkcs11js.PKCS11
  readonly names: typeof Pkcs11js
}

let token: SoftHsm | undefined
let lookedFor = false
let directory: string | undefined

// Registered while the file is loaded: vitest drops hooks that a running test registers.
afterAll(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
})

/**
 * This process's token, made when it is first asked for. One a process, because SoftHSM reads where its tokens are
 * (SOFTHSM2_CONF) only when it is initialised.
 *
 * @returns undefined, and says so once, where SoftHSM or pkcs11js is missing; with CI=true that is an error
 */
export function softHsm(): SoftHsm | undefined {
  if (lookedFor) return token
  lookedFor = true
  const made = makeToken()
  if (typeof made !== 'string') return (token = made)
  const line = `PKCS#11 suite left out: ${made}`
  if (process.env['CI'] === 'true') throw new Error(line)
  process.stderr.write(`${line}\n`)
  return undefined
}

/** @returns what is missing, otherwise */
function makeToken(): SoftHsm | string {
  const module = MODULES.find((path) => existsSync(path))
  if (module === undefined) return 'libsofthsm2.so is missing: apt-get install softhsm2, or set SOFTHSM2 to its path'
  let names: typeof Pkcs11js
  try {
    names = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11js
  } catch {
    return 'pkcs11js is not built: apt-get install g++ make python3, then npm ci'
  }
  directory = mkdtempSync(join(tmpdir(), 'sarf-softhsm-'))
  const tokens = join(directory, 'tokens')
  const configuration = join(directory, 'softhsm2.conf')
  mkdirSync(tokens)
  writeFileSync(configuration, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`)
  process.env['SOFTHSM2_CONF'] = configuration
  const made = spawnSync(
    'softhsm2-util',
    ['--init-token', '--free', '--label', TOKEN_LABEL, '--pin', PIN, '--so-pin', PIN, '--module', module],
    { encoding: 'utf8' },
  )
  if (made.error !== undefined) return 'softhsm2-util is missing: apt-get install softhsm2'
  if (made.status !== 0) throw new Error(`softhsm2-util: ${made.stderr}${made.stdout}`)
  const library = new names.PKCS11()
  library.load(module)
  return { module, tokenLabel: TOKEN_LABEL, pin: PIN, tokens, library, names }
}
