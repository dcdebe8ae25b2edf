/** Values that must be found nowhere, in all the forms in which they could be lying about. */

/** What was looked for, by name, and was found. */
export type Look = (haystack: Uint8Array | string) => string[]

/**
 * A number is looked for as text and packed (BCD, high digit first and with a digit before it), bytes as they are; each of these also as
 * hexadecimal and as base64 of either alphabet wherever it begins in a longer text.
 *
 * @param canaries text or bytes by name; a number of which few digits are left when packed would be found by chance, so 8 bytes or digits at least
 */
export function canaryLook(canaries: Readonly<Record<string, string | Uint8Array>>): Look {
  const needles = Object.entries(canaries).flatMap(([name, canary]) => formsOf(canary).map((form) => ({ name, form })))
  return (haystack) => {
    const text = typeof haystack === 'string' ? haystack : Buffer.from(haystack).toString('latin1')
    return [...new Set(needles.filter(({ form }) => text.includes(form)).map(({ name }) => name))]
  }
}

function formsOf(canary: string | Uint8Array): string[] {
  const plain = Buffer.from(canary)
  if (plain.length < 8) throw new RangeError('too short to be found by anything but chance')
  const forms = [plain, ...(typeof canary === 'string' && /^\d+$/.test(canary) ? packed(canary) : [])]
  return [...new Set(forms.flatMap(spelled))]
}

/** Whole bytes of it, whatever the digits around it are. */
function packed(digits: string): Buffer[] {
  return [digits, digits.slice(1)].map((rest) => Buffer.from(rest.slice(0, rest.length & ~1), 'hex'))
}

function spelled(bytes: Buffer): string[] {
  const hex = bytes.toString('hex')
  return [bytes.toString('latin1'), hex, hex.toUpperCase(), ...[0, 1, 2].flatMap((before) => base64(bytes, before))]
}

/** The characters that say nothing of the `before` bytes in front of it, nor of what follows. */
function base64(bytes: Buffer, before: number): string[] {
  const all = Buffer.concat([Buffer.alloc(before), bytes])
  const [from, until] = [Math.ceil((before * 8) / 6), Math.floor((all.length * 8) / 6)]
  return (['base64', 'base64url'] as const).map((alphabet) => all.toString(alphabet).slice(from, until))
}
