/** A token of SoftHSM in a directory of its own: PKCS#11 without a device. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Pkcs11Options } from '../../src/security/pkcs11Session.ts'

export interface SoftHsmToken extends Pkcs11Options {
  /** Where the token's files are. */
  readonly tokens: string
}

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

/** @returns what is missing, where something is: a line that says what to install */
export function softHsmMissing(): string | undefined {
  if (!MODULES.some((path) => existsSync(path)))
    return 'libsofthsm2.so is missing: apt-get install softhsm2, or set SOFTHSM2 to its path'
  try {
    createRequire(import.meta.url)('pkcs11js')
    return undefined
  } catch {
    return 'pkcs11js is not built: apt-get install g++ make python3, then npm ci'
  }
}

/**
 * One a process, because SoftHSM reads where its tokens are (SOFTHSM2_CONF, set here) only when it is initialised.
 *
 * @param directory an empty one
 * @returns what is missing, where something is
 */
export function softHsmToken(directory: string): SoftHsmToken | string {
  const missing = softHsmMissing()
  const module = MODULES.find((path) => existsSync(path))
  if (missing !== undefined || module === undefined) return missing ?? 'libsofthsm2.so is missing'
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
  return { module, tokenLabel: TOKEN_LABEL, pin: PIN, tokens }
}
