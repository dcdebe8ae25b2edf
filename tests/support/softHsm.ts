/** A token of SoftHSM, in a directory of its own: for tests of what keeps keys in a PKCS#11 token. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as Pkcs11js from 'pkcs11js'
import { afterAll } from 'vitest'
import { softHsmToken, type SoftHsmToken } from '../../benchmarks/support/softHsmToken.ts'

export interface SoftHsm extends SoftHsmToken {
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
  directory = mkdtempSync(join(tmpdir(), 'sarf-softhsm-'))
  const made = softHsmToken(directory)
  if (typeof made === 'string') return made
  const names = createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11js
  const library = new names.PKCS11()
  library.load(made.module)
  return { ...made, library, names }
}
