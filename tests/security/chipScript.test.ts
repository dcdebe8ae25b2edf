import { describe, expect, test } from 'vitest'
import { iccMasterKey, sessionKey } from '../../src/security/chipKeys.ts'
import { isScriptAuthentic, scriptCommand } from '../../src/security/chipScript.ts'
import { paddedMac } from '../../src/security/cryptogram.ts'
import { scheduleKey } from '../../src/security/des.ts'
import { softwareKey } from '../../src/security/softwareKeys.ts'
import vectors from './vectors/chip.json' with { type: 'json' }

const ATC = Buffer.from('001C', 'hex')
const { pan, psn, arqc, scriptHeader, scriptMac } = vectors.interac
const CRYPTOGRAM = Buffer.from(arqc, 'hex')
const MASTER_KEY = iccMasterKey(imk(vectors.interac.imkSmi), pan, psn, 'A')
const COMMANDS = { PIN_UNBLOCK: '8424', APPLICATION_BLOCK: '841E', APPLICATION_UNBLOCK: '8418', CARD_BLOCK: '8416' } as const
const NAMES = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]

function imk(hex: string) {
  return softwareKey({ name: 'imk-smi', usage: 'E2', algorithm: 'T', exportable: false, value: Buffer.from(hex, 'hex') })
}

describe('issuer script commands', () => {
  test.each(vectors.cryptograms.filter(({ script }) => script))('$name: application unblock ($source)', (vector) => {
    const key = iccMasterKey(imk(vector.imkSmi!), vector.pan, vector.psn, 'A')
    const apdu = scriptCommand('visa', key, 'APPLICATION_UNBLOCK', ATC, Buffer.from(vector.arqc, 'hex'))
    expect(apdu.toString('hex').toUpperCase()).toBe(vector.script!.apduHeader + vector.script!.mac)
  })

  test(`the key of M/Chip comes from the cryptogram (${vectors.interac.source})`, () => {
    const key = scheduleKey(sessionKey(scheduleKey(MASTER_KEY), CRYPTOGRAM))
    // Interac's MAC is over the header alone, M/Chip's over ATC and cryptogram too.
    expect(paddedMac(key, 2, Buffer.from(scriptHeader, 'hex')).toString('hex').toUpperCase()).toBe(scriptMac)
    const apdu = scriptCommand('mchip', MASTER_KEY, 'PIN_UNBLOCK', ATC, CRYPTOGRAM)
    const header = Buffer.from(scriptHeader, 'hex')
    expect(apdu).toEqual(Buffer.concat([header, paddedMac(key, 2, header, ATC, CRYPTOGRAM)]))
  })

  test.each(NAMES)('%s is a command without data and a MAC of 8 bytes', (command) => {
    for (const scheme of ['visa', 'mchip'] as const) {
      const apdu = scriptCommand(scheme, MASTER_KEY, command, ATC, CRYPTOGRAM)
      expect(apdu.toString('hex').toUpperCase().startsWith(`${COMMANDS[command]}000008`)).toBe(true)
      expect(apdu).toHaveLength(13)
      expect(isScriptAuthentic(scheme, MASTER_KEY, apdu, ATC, CRYPTOGRAM)).toBe(true)
    }
  })

  test.each(['visa', 'mchip'] as const)('a PIN is blocked by writing 0 into its try counter (%s)', (scheme) => {
    const apdu = scriptCommand(scheme, MASTER_KEY, 'PIN_BLOCK', ATC, CRYPTOGRAM)
    expect(apdu.toString('hex').toUpperCase().startsWith('84DA9F170900')).toBe(true)
    expect(apdu).toHaveLength(14)
    expect(isScriptAuthentic(scheme, MASTER_KEY, apdu, ATC, CRYPTOGRAM)).toBe(true)
    const other = Buffer.from(apdu)
    other[5] = 1
    expect(isScriptAuthentic(scheme, MASTER_KEY, other, ATC, CRYPTOGRAM)).toBe(false)
  })

  test('another command, card, counter or cryptogram needs another MAC', () => {
    const apdu = scriptCommand('visa', MASTER_KEY, 'PIN_UNBLOCK', ATC, CRYPTOGRAM)
    const other = Buffer.from('001D', 'hex')
    const otherKey = iccMasterKey(imk(vectors.interac.imkSmi), '1234567890123457', psn, 'A')
    expect(isScriptAuthentic('visa', MASTER_KEY, apdu, other, CRYPTOGRAM)).toBe(false)
    expect(isScriptAuthentic('visa', MASTER_KEY, apdu, ATC, Buffer.alloc(8))).toBe(false)
    expect(isScriptAuthentic('visa', otherKey, apdu, ATC, CRYPTOGRAM)).toBe(false)
    expect(isScriptAuthentic('mchip', MASTER_KEY, apdu, ATC, CRYPTOGRAM)).toBe(false)
    for (let i = 0; i < apdu.length; i++) {
      const changed = Buffer.from(apdu)
      changed[i]! ^= 1
      expect(isScriptAuthentic('visa', MASTER_KEY, changed, ATC, CRYPTOGRAM)).toBe(false)
      expect(isScriptAuthentic('visa', MASTER_KEY, apdu.subarray(0, i), ATC, CRYPTOGRAM)).toBe(false)
    }
  })
})
