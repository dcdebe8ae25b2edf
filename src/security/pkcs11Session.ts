/**
 * A session with a PKCS#11 token (OASIS PKCS#11 2.40): opened, logged in, and opened again after the token failed. All calls are
 * synchronous, so one session serves the whole process.
 */
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as Pkcs11js from 'pkcs11js'
import { InvariantViolation } from '../assert.ts'
import { KeyRefused, KeyStoreFailed } from './keys.ts'

export interface Pkcs11Options {
  /** The token's library: `/usr/lib/softhsm/libsofthsm2.so`. */
  readonly module: string
  readonly tokenLabel: string
  /** Of the token's user (CKU_USER). */
  readonly pin: string
}

export interface Pkcs11Session {
  /**
   * Runs `work` with the open token. Where that throws, the session is closed, because an operation may be left half done in it; the next
   * call opens a new one.
   *
   * @param operation for the message: `encrypt with key zpk.atm`
   * @throws KeyStoreFailed; KeyRefused and InvariantViolation from `work` pass and cost no session, so `work` finds them before it begins
   */
  use<T>(operation: string, work: (token: OpenToken) => T): T
  close(): void
}

/** What a call to the token needs. Good within one `use`. */
export interface OpenToken {
  readonly library: Pkcs11js.PKCS11
  readonly handle: Pkcs11js.Handle
  /** The constants of the standard. */
  readonly names: typeof Pkcs11js
  /** How many sessions came before: handles of objects are not kept from one to the next. */
  readonly count: number
}

/** @throws KeyStoreFailed: the binding or the module cannot be loaded, there is no such token, the PIN is wrong */
export function openPkcs11Session(options: Pkcs11Options): Pkcs11Session {
  const { tokenLabel } = options
  const module = acquire(options.module)
  const { library, names } = module
  let open: OpenToken | undefined
  let count = 0
  let closed = false
  /** A token locks itself after a few wrong PINs, so one that was refused is not tried again. */
  let pinRefused: KeyStoreFailed | undefined

  const session: Pkcs11Session = {
    use: (operation, work) => {
      open ??= reopened()
      try {
        return work(open)
      } catch (error) {
        if (error instanceof KeyRefused || error instanceof InvariantViolation) throw error
        drop()
        throw failed(operation, error)
      }
    },
    close: () => {
      if (closed) return
      closed = true
      drop()
      release(module)
    },
  }

  function reopened(): OpenToken {
    if (closed) throw new KeyStoreFailed(`the session with token ${tokenLabel} is closed`)
    if (pinRefused !== undefined) throw pinRefused
    try {
      return loggedIn()
    } catch (error) {
      // The first time nothing was lost yet, and other stores may be at work with this module.
      if (count === 0 || error === pinRefused) throw error
      // Some modules find their device again only after this. It ends the sessions of other stores too: they open theirs again.
      restart(module)
      return loggedIn()
    }
  }

  function loggedIn(): OpenToken {
    let handle: Pkcs11js.Handle | undefined
    try {
      const slot = library.C_GetSlotList(true).find((candidate) => labelOf(library, candidate) === tokenLabel)
      if (slot === undefined) throw new KeyStoreFailed(`there is no token ${tokenLabel} at ${options.module}`)
      handle = library.C_OpenSession(slot, names.CKF_SERIAL_SESSION | names.CKF_RW_SESSION)
      login(handle)
      return { library, handle, names, count: ++count }
    } catch (error) {
      if (handle !== undefined) closeSession(library, handle)
      throw failed(`open a session with token ${tokenLabel}`, error)
    }
  }

  function login(handle: Pkcs11js.Handle): void {
    try {
      library.C_Login(handle, names.CKU_USER, options.pin)
    } catch (error) {
      const code = returnCodeOf(error)
      // The login is the process's, not the session's: another store has done it.
      if (code?.value === names.CKR_USER_ALREADY_LOGGED_IN) return
      const failure = failed(`log in to token ${tokenLabel}`, error)
      if (code?.name.startsWith('CKR_PIN_') === true) pinRefused = failure
      throw failure
    }
  }

  function drop(): void {
    if (open !== undefined) closeSession(library, open.handle)
    open = undefined
  }

  try {
    open = reopened()
  } catch (error) {
    session.close()
    throw error
  }
  return session
}

/** PKCS#11 2.40, CKR_*: `value` as in the standard's header file. @returns undefined where the error is not the token's */
export function returnCodeOf(error: unknown): { readonly name: string; readonly value: number } | undefined {
  if (!(error instanceof Error)) return undefined
  // pkcs11js has the number in `code`, or, from calls that it does not wrap, in the message.
  const [, name, inMessage] = /(CKR_\w+)(?::(\d+))?/.exec(error.message) ?? []
  if (name === undefined) return undefined
  const value = Number(inMessage ?? ('code' in error ? error.code : NaN))
  // So it calls every number that it does not know.
  return { name: name === 'CKR_VENDOR_DEFINED' ? `CKR 0x${value.toString(16)}` : name, value }
}

function failed(operation: string, error: unknown): KeyStoreFailed {
  if (error instanceof KeyStoreFailed) return error
  const reason = returnCodeOf(error)?.name ?? (error instanceof Error ? error.message : String(error))
  return new KeyStoreFailed(`${operation}: ${reason}`, { cause: error })
}

interface Module {
  readonly library: Pkcs11js.PKCS11
  readonly names: typeof Pkcs11js
  users: number
}

/** A module is initialised once a process (PKCS#11 2.40, 5.4). */
const modules = new Map<string, Module>()

function acquire(path: string): Module {
  const names = binding()
  const key = resolved(path)
  let module = modules.get(key)
  if (module === undefined) {
    const library = new names.PKCS11()
    try {
      library.load(path)
    } catch (error) {
      throw failed(`load PKCS#11 module ${path}`, error)
    }
    module = { library, names, users: 0 }
    modules.set(key, module)
  }
  if (module.users === 0) initialise(module)
  module.users++
  return module
}

function release(module: Module): void {
  if (--module.users === 0) ignoringFailure(() => module.library.C_Finalize())
}

function initialise({ library, names }: Module): void {
  try {
    // Without the system's locks, SoftHSM crashes when worker threads of one process have sessions at the same time.
    library.C_Initialize({ flags: names.CKF_OS_LOCKING_OK })
  } catch (error) {
    if (returnCodeOf(error)?.value !== names.CKR_CRYPTOKI_ALREADY_INITIALIZED)
      throw failed('initialise the PKCS#11 module', error)
  }
}

function restart(module: Module): void {
  ignoringFailure(() => module.library.C_Finalize())
  initialise(module)
}

/** pkcs11js is an optional dependency: npm leaves it out where it cannot be compiled. */
function binding(): typeof Pkcs11js {
  try {
    return createRequire(import.meta.url)('pkcs11js') as typeof Pkcs11js
  } catch (error) {
    throw new KeyStoreFailed('pkcs11js is not installed: install g++, make and python3, then run "npm ci"', { cause: error })
  }
}

/** Two paths may lead to one library. A bare name is the loader's to find. */
function resolved(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** @returns undefined where a slot's token cannot be read: it is none of ours */
function labelOf(library: Pkcs11js.PKCS11, slot: Pkcs11js.Handle): string | undefined {
  try {
    return library.C_GetTokenInfo(slot).label.trimEnd()
  } catch {
    return undefined
  }
}

function closeSession(library: Pkcs11js.PKCS11, handle: Pkcs11js.Handle): void {
  ignoringFailure(() => library.C_CloseSession(handle))
}

/** For closing what may be gone already. */
function ignoringFailure(close: () => void): void {
  try {
    close()
  } catch {
    // Nothing is left to close.
  }
}
