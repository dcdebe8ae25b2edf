/** Every kind of key store, for suites that must pass on each. */
import type { KeyStore } from '../../src/security/keys.ts'
import { openPkcs11KeyStore } from '../../src/security/pkcs11Keys.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { softHsm } from './softHsm.ts'

/**
 * `describe.each(keyStoresUnderTest())('%s', (_name, open) => ...)`. What `open` returns is empty; the file's PKCS#11 stores are one token,
 * so have one open at a time, and close it.
 */
export function keyStoresUnderTest(): [string, () => KeyStore][] {
  const stores: [string, () => KeyStore][] = [['software', () => softwareKeyStore()]]
  const token = softHsm()
  if (token === undefined) return stores
  const openEmpty = (): KeyStore => {
    const store = openPkcs11KeyStore(token)
    for (const { name } of store.list()) store.remove(name)
    return store
  }
  return [...stores, ['PKCS#11', openEmpty]]
}
