/** Opens the key store that the configuration names. */
import type { HsmConfig } from '../config.ts'
import { developmentKeys } from './developmentKeys.ts'
import type { KeyStore } from './keys.ts'
import { softwareKeyStore } from './softwareKeys.ts'

/** @throws Error with one line that says what is missing and what to do */
export async function openKeyStore(config: HsmConfig): Promise<KeyStore> {
  if (config.kind === 'software') return softwareKeyStore(developmentKeys())
  // Its binding is an optional dependency: only who uses a token needs it.
  const { openPkcs11KeyStore } = await import('./pkcs11Keys.ts')
  return openPkcs11KeyStore(config)
}
