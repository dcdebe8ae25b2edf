/** What only a PKCS#11 store does: keys that outlast it, and a token that fails. The rest is in keyStores.test.ts. */
import { randomBytes } from 'node:crypto'
import { renameSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KeyRefused, KeyStoreFailed, type KeyStore, type KeyUsage, type NewKey } from '../../src/security/keys.ts'
import { openPkcs11KeyStore } from '../../src/security/pkcs11Keys.ts'
import { softwareKey } from '../../src/security/softwareKeys.ts'
import { softHsm, type SoftHsm } from '../support/softHsm.ts'

const token = softHsm()
const ZERO = Buffer.alloc(8)

const tdes = (name: string, usage: KeyUsage, value: Uint8Array = randomBytes(16), exportable = false): NewKey => ({
  name,
  usage,
  algorithm: 'T',
  exportable,
  value,
})

describe.runIf(token !== undefined)('PKCS#11 keys', () => {
  // Where there is no token, this is read all the same, and no test runs.
  const { library, names, tokens, ...options } = token ?? ({} as SoftHsm)
  let store: KeyStore

  beforeEach(() => {
    store = openPkcs11KeyStore(options)
    for (const { name } of store.list()) store.remove(name)
  })

  afterEach(() => store.close())

  /** With a session of its own, as another process would do it. */
  const besideStore = <T>(work: (session: Buffer) => T): T => {
    const session = library.C_OpenSession(library.C_GetSlotList(true)[0]!, names.CKF_SERIAL_SESSION | names.CKF_RW_SESSION)
    try {
      return work(session)
    } finally {
      library.C_CloseSession(session)
    }
  }

  const objectsLabelled = (session: Buffer, label: string): Buffer[] => {
    library.C_FindObjectsInit(session, [{ type: names.CKA_LABEL, value: label }])
    const found = library.C_FindObjects(session, 10)
    library.C_FindObjectsFinal(session)
    return found
  }

  const storeObject = (session: Buffer, label: string, id: string, value: Buffer): void => {
    library.C_CreateObject(session, [
      { type: names.CKA_CLASS, value: names.CKO_SECRET_KEY },
      { type: names.CKA_KEY_TYPE, value: names.CKK_DES2 },
      { type: names.CKA_TOKEN, value: true },
      { type: names.CKA_PRIVATE, value: true },
      { type: names.CKA_LABEL, value: label },
      { type: names.CKA_ID, value: Buffer.from(id) },
      { type: names.CKA_ENCRYPT, value: true },
      { type: names.CKA_VALUE, value },
    ])
  }

  const endSessions = (): void => library.C_CloseAllSessions(library.C_GetSlotList(true)[0]!)

  it('keeps keys when it is closed and opened again', () => {
    const keys = [
      tdes('cvk.9818', 'C0'),
      tdes('zpk.atm', 'P0', randomBytes(24), true),
      { ...tdes('pan.data', 'D0', randomBytes(32)), algorithm: 'A' as const },
      { ...tdes('pan.index', 'M7', randomBytes(32)), algorithm: 'H' as const },
    ]
    const infos = keys.map((key) => store.put(key))
    store.close()
    store = openPkcs11KeyStore(options)
    expect(store.list()).toHaveLength(infos.length)
    expect(store.list()).toEqual(expect.arrayContaining(infos))
    for (const key of keys) {
      const inMemory = softwareKey(key)
      const found = store.find(key.name, key.usage)
      expect(found.info).toEqual(inMemory.info)
      expect(found.mac(Buffer.from('data'))).toEqual(inMemory.mac(Buffer.from('data')))
    }
    expect(store.find('cvk.9818', 'C0').encryptFirstHalf(ZERO)).toEqual(softwareKey(keys[0]!).encryptFirstHalf(ZERO))
    expect(() => store.find('pan.data', 'K0')).toThrow(KeyRefused)
    expect(() => store.reveal('cvk.9818')).toThrow(KeyRefused)
  })

  it('the token itself says what may leave, and lets nobody change it', () => {
    store.put(tdes('in', 'M3'))
    store.put(tdes('out', 'M3', randomBytes(16), true))
    besideStore((session) => {
      const flags = (label: string) =>
        library
          .C_GetAttributeValue(session, objectsLabelled(session, label)[0]!, [
            { type: names.CKA_SENSITIVE },
            { type: names.CKA_EXTRACTABLE },
            { type: names.CKA_WRAP },
            { type: names.CKA_DERIVE },
          ])
          .map(({ value }) => value[0])
      expect(flags('in')).toEqual([1, 0, 0, 0])
      expect(flags('in:first-half')).toEqual([1, 0, 0, 0])
      expect(flags('out')).toEqual([0, 1, 0, 0])
      expect(flags('out:first-half')).toEqual([1, 0, 0, 0])
      const [object] = objectsLabelled(session, 'in')
      expect(() => library.C_GetAttributeValue(session, object!, [{ type: names.CKA_VALUE }])).toThrow('CKR_ATTRIBUTE_SENSITIVE')
      const asPinKey = [{ type: names.CKA_ID, value: Buffer.from('sarf/P0/1') }]
      expect(() => library.C_SetAttributeValue(session, object!, asPinKey)).toThrow()
    })
    expect(store.find('in', 'M3').info.usage).toBe('M3')
  })

  it('leaves no object behind when a key is replaced or removed', () => {
    const count = (label: string): number => besideStore((session) => objectsLabelled(session, label).length)
    for (const [name, usage, second] of [
      ['cvk', 'C0', 'cvk:first-half'],
      ['bdk', 'B0', 'bdk:variant'],
    ] as const) {
      for (let times = 0; times < 3; times++) store.put(tdes(name, usage))
      expect([count(name), count(second)]).toEqual([1, 1])
      store.remove(name)
      expect([count(name), count(second)]).toEqual([0, 0])
    }
  })

  it('leaves objects of others alone', () => {
    const label = 'somebody-else'
    besideStore((session) => {
      library.C_CreateObject(session, [
        { type: names.CKA_CLASS, value: names.CKO_SECRET_KEY },
        { type: names.CKA_KEY_TYPE, value: names.CKK_AES },
        { type: names.CKA_TOKEN, value: true },
        { type: names.CKA_LABEL, value: label },
        { type: names.CKA_VALUE, value: randomBytes(16) },
      ])
    })
    expect(store.list()).toEqual([])
    expect(() => store.find(label, 'P0')).toThrow(new KeyRefused(`there is no key ${label}`))
    store.remove(label)
    besideStore((session) => {
      const objects = objectsLabelled(session, label)
      expect(objects).toHaveLength(1)
      library.C_DestroyObject(session, objects[0]!)
    })
  })

  it('uses the newer of two versions, which a replacement that was cut short leaves, and tidies up with the next', () => {
    const value = randomBytes(16)
    store.put(tdes('mac', 'M3', value))
    besideStore((session) => {
      // The new first half was stored, the new key was not.
      storeObject(session, 'mac:first-half', 'sarf/M3/2', randomBytes(16))
    })
    store.close()
    store = openPkcs11KeyStore(options)
    const data = randomBytes(40)
    expect(store.find('mac', 'M3').mac(data)).toEqual(softwareKey(tdes('mac', 'M3', value)).mac(data))
    const next = randomBytes(16)
    besideStore((session) => storeObject(session, 'mac', 'sarf/M3/2', next))
    store.close()
    store = openPkcs11KeyStore(options)
    expect(store.find('mac', 'M3').encrypt(ZERO)).toEqual(softwareKey(tdes('mac', 'M3', next)).encrypt(ZERO))
    store.put(tdes('mac', 'M3', value))
    besideStore((session) => {
      expect(objectsLabelled(session, 'mac')).toHaveLength(1)
      expect(objectsLabelled(session, 'mac:first-half')).toHaveLength(1)
    })
    expect(store.find('mac', 'M3').mac(data)).toEqual(softwareKey(tdes('mac', 'M3', value)).mac(data))
  })

  it('refuses a key that is there twice, or without its second object', () => {
    besideStore((session) => {
      storeObject(session, 'twice', 'sarf/P0/1', randomBytes(16))
      storeObject(session, 'twice', 'sarf/P0/1', randomBytes(16))
      storeObject(session, 'half', 'sarf/C0/1', randomBytes(16))
      storeObject(session, 'base', 'sarf/B0/1', randomBytes(16))
    })
    expect(() => store.find('twice', 'P0')).toThrow('is on the token twice')
    expect(() => store.find('half', 'C0')).toThrow('lacks its first half')
    expect(() => store.find('base', 'B0')).toThrow('lacks its variant')
    expect(store.list()).toEqual([])
    store.remove('twice')
    store.remove('base')
    store.put(tdes('half', 'C0'))
    expect(store.list().map(({ name }) => name)).toEqual(['half'])
  })

  it('a handle goes on with the new key when another store has replaced it, and is refused when it is gone', () => {
    store.put(tdes('zpk', 'P0'))
    const handle = store.find('zpk', 'P0')
    const other = openPkcs11KeyStore(options)
    const next = tdes('zpk', 'P0')
    other.put(next)
    expect(handle.encrypt(ZERO)).toEqual(softwareKey(next).encrypt(ZERO))
    other.remove('zpk')
    expect(() => handle.encrypt(ZERO)).toThrow(new KeyRefused('there is no key zpk'))
    other.put({ ...next, usage: 'K0' })
    expect(() => handle.encrypt(ZERO)).toThrow(new KeyRefused('key zpk is for K0, not for P0'))
    other.close()
    store.put(tdes('after', 'P0'))
  })

  it.each<[string, NewKey]>([
    ['a name that is none', tdes('zpk:first-half', 'P0')],
    ['no name', tdes('', 'P0')],
    ['an AES key for the retail MAC', { ...tdes('mac', 'M3'), algorithm: 'A' }],
    ['a triple-length key for card values', tdes('cvk', 'C0', randomBytes(24))],
  ])('refuses %s', (_what, key) => {
    expect(() => store.put(key)).toThrow(KeyRefused)
    expect(store.list()).toEqual([])
  })

  it('seals with AES-256 keys for D0 only', () => {
    store.put(tdes('zpk', 'P0'))
    store.put({ ...tdes('short', 'D0'), algorithm: 'A' })
    for (const [name, usage] of [
      ['zpk', 'P0'],
      ['short', 'D0'],
    ] as const) {
      const handle = store.find(name, usage)
      expect(() => handle.seal(Buffer.alloc(12), ZERO, ZERO)).toThrow(KeyRefused)
      expect(() => handle.unseal(Buffer.alloc(12), randomBytes(40), ZERO)).toThrow(KeyRefused)
    }
  })

  describe('when the token fails', () => {
    it('the call names operation and return code, and the next one logs in again', () => {
      store.put(tdes('zpk', 'P0'))
      const handle = store.find('zpk', 'P0')
      const before = handle.encrypt(ZERO)
      for (let times = 0; times < 3; times++) {
        endSessions()
        expect(() => handle.encrypt(ZERO)).toThrow(new KeyStoreFailed('encrypt with key zpk: CKR_SESSION_HANDLE_INVALID'))
        expect(handle.encrypt(ZERO)).toEqual(before)
      }
    })

    it('every operation is a typed error, and works again after it', () => {
      store.put(tdes('cvk', 'C0', randomBytes(16), true))
      store.put(tdes('bdk', 'B0'))
      store.put({ ...tdes('pan', 'D0', randomBytes(32)), algorithm: 'A' })
      const cvk = store.find('cvk', 'C0')
      const bdk = store.find('bdk', 'B0')
      const pan = store.find('pan', 'D0')
      const sealed = pan.seal(Buffer.alloc(12), ZERO, ZERO)
      const calls: (() => unknown)[] = [
        () => cvk.encrypt(ZERO),
        () => cvk.decrypt(ZERO),
        () => cvk.encryptFirstHalf(ZERO),
        () => bdk.encryptVariant(ZERO),
        () => cvk.mac(ZERO),
        () => cvk.macs(Array.from({ length: 64 }, () => ZERO)),
        () => pan.seal(Buffer.alloc(12), ZERO, ZERO),
        () => pan.unseal(Buffer.alloc(12), sealed, ZERO),
        () => store.list(),
        () => store.reveal('cvk'),
        () => store.find('nothing', 'P0'),
        () => store.remove('nothing'),
        () => store.put(tdes('cvk', 'C0')),
      ]
      for (const call of calls) {
        endSessions()
        expect(call).toThrow(KeyStoreFailed)
        expect(call).not.toThrow(KeyStoreFailed)
      }
    })

    it('initialises a module again that has lost its own state', () => {
      store.put(tdes('zpk', 'P0'))
      const handle = store.find('zpk', 'P0')
      const before = handle.encrypt(ZERO)
      library.C_Finalize()
      expect(() => handle.encrypt(ZERO)).toThrow(new KeyStoreFailed('encrypt with key zpk: CKR_CRYPTOKI_NOT_INITIALIZED'))
      expect(handle.encrypt(ZERO)).toEqual(before)
    })

    it('fails while the token is away, and works when it is back', () => {
      store.put(tdes('zpk', 'P0'))
      const handle = store.find('zpk', 'P0')
      const before = handle.encrypt(ZERO)
      const away = `${tokens}.away`
      renameSync(tokens, away)
      try {
        library.C_Finalize()
        expect(() => handle.encrypt(ZERO)).toThrow(KeyStoreFailed)
        expect(() => handle.encrypt(ZERO)).toThrow(KeyStoreFailed)
        expect(() => store.list()).toThrow(KeyStoreFailed)
      } finally {
        renameSync(away, tokens)
      }
      expect(handle.encrypt(ZERO)).toEqual(before)
    })

    it('does not use up the tries of a PIN that was changed', () => {
      const changePin = (from: string, to: string): void => {
        library.C_Initialize({ flags: names.CKF_OS_LOCKING_OK })
        const slot = library.C_GetSlotList(true)[0]!
        const session = library.C_OpenSession(slot, names.CKF_SERIAL_SESSION | names.CKF_RW_SESSION)
        library.C_SetPIN(session, from, to)
        library.C_CloseSession(session)
      }
      const refused = new KeyStoreFailed('log in to token sarf-test: CKR_PIN_INCORRECT')
      library.C_Finalize()
      changePin(options.pin, '111111')
      try {
        expect(() => store.list()).toThrow(KeyStoreFailed)
        expect(() => store.list()).toThrow(refused)
      } finally {
        library.C_Finalize()
        changePin('111111', options.pin)
      }
      expect(() => store.list()).toThrow(refused)
      store.close()
      store = openPkcs11KeyStore(options)
      expect(store.list()).toEqual([])
    })
  })

  describe('opening', () => {
    it('fails with one line for a module, a token or a PIN that is wrong', () => {
      store.close()
      const opening = (changes: Partial<typeof options>) => () => openPkcs11KeyStore({ ...options, ...changes })
      expect(opening({ module: '/nowhere/lib.so' })).toThrow(/^load PKCS#11 module \/nowhere\/lib\.so: .*cannot open/)
      expect(opening({ module: process.execPath })).toThrow(KeyStoreFailed)
      expect(opening({ tokenLabel: 'other' })).toThrow(new KeyStoreFailed(`there is no token other at ${options.module}`))
      expect(opening({ pin: '000000' })).toThrow(new KeyStoreFailed('log in to token sarf-test: CKR_PIN_INCORRECT'))
      store = openPkcs11KeyStore(options)
      expect(store.list()).toEqual([])
    })

    it('several stores share a module: closing one leaves the others at work', () => {
      store.put(tdes('zpk', 'P0'))
      const second = openPkcs11KeyStore(options)
      const handle = second.find('zpk', 'P0')
      store.close()
      store.close()
      expect(handle.encrypt(ZERO)).toHaveLength(8)
      expect(() => openPkcs11KeyStore({ ...options, tokenLabel: 'other' })).toThrow(KeyStoreFailed)
      expect(handle.encrypt(ZERO)).toHaveLength(8)
      second.close()
      expect(() => library.C_GetSlotList(true)).toThrow('CKR_CRYPTOKI_NOT_INITIALIZED')
      expect(() => handle.encrypt(ZERO)).toThrow(new KeyStoreFailed('the session with token sarf-test is closed'))
      store = openPkcs11KeyStore(options)
    })
  })
})
