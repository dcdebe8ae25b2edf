/**
 * Issuer script commands: what the issuer has the card do after the transaction, as command APDUs with a secure messaging MAC
 * (EMV Book 3 6.5, Book 2 9.2). None of them carries anything secret, so nothing is enciphered.
 */
import { sessionKey, visaMessagingKey } from './chipKeys.ts'
import { paddedMac } from './cryptogram.ts'
import { scheduleKey } from './des.ts'
import type { ChipScheme, ScriptRequest } from './hsm.ts'

/**
 * One command, the value of a tag 86. Its MAC is over header, ATC, cryptogram and data (Visa: VIS appendix on secure messaging; M/Chip 4: the
 * random number of the first command is the cryptogram), padding method 2, 8 bytes.
 *
 * The key: Visa varies the ICC master key for integrity by the ATC. M/Chip derives the session key of EMV Book 2 A1.3.1 from it with the
 * cryptogram as diversification value. An answer carries one command for M/Chip: a second one would take the cryptogram plus one.
 *
 * @param masterKey ICC master key for secure messaging integrity, 16 bytes
 * @returns 5 bytes of header, what data there are, and 8 of MAC
 */
export function scriptCommand(
  scheme: ChipScheme,
  masterKey: Uint8Array,
  command: ScriptRequest['command'],
  atc: Uint8Array,
  cryptogram: Uint8Array,
): Buffer {
  const apdu = COMMANDS[command]
  return Buffer.concat([apdu, scriptMac(scheme, masterKey, apdu, atc, cryptogram)])
}

/** Whether a card of this key would take the APDU. */
export function isScriptAuthentic(
  scheme: ChipScheme,
  masterKey: Uint8Array,
  apdu: Buffer,
  atc: Uint8Array,
  cryptogram: Uint8Array,
): boolean {
  const command = apdu.subarray(0, apdu.length - MAC_BYTES)
  if (!Object.values(COMMANDS).some((known) => known.equals(command))) return false
  return scriptMac(scheme, masterKey, command, atc, cryptogram).equals(apdu.subarray(command.length))
}

const HEADER_BYTES = 5
const MAC_BYTES = 8

/**
 * CLA INS P1 P2 Lc and data. P2 of PIN CHANGE/UNBLOCK 00: the try counter is reset, the PIN stays (Book 3 6.5.10). There is no command that blocks the PIN
 * alone: PUT DATA writes 0 tries into the try counter, 9F17, of applications that let it be written; others refuse it and stay as they are.
 */
const COMMANDS: Readonly<Record<ScriptRequest['command'], Buffer>> = {
  PIN_BLOCK: Buffer.from('84DA9F170900', 'hex'),
  PIN_UNBLOCK: Buffer.from('8424000008', 'hex'),
  APPLICATION_BLOCK: Buffer.from('841E000008', 'hex'),
  APPLICATION_UNBLOCK: Buffer.from('8418000008', 'hex'),
  CARD_BLOCK: Buffer.from('8416000008', 'hex'),
}

function scriptMac(scheme: ChipScheme, masterKey: Uint8Array, command: Buffer, atc: Uint8Array, cryptogram: Uint8Array): Buffer {
  const key = scheme === 'visa' ? visaMessagingKey(masterKey, atc) : sessionKey(scheduleKey(masterKey), cryptogram)
  const [header, data] = [command.subarray(0, HEADER_BYTES), command.subarray(HEADER_BYTES)]
  return paddedMac(scheduleKey(key), 2, header, atc, cryptogram, data)
}
