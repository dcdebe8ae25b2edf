/** Opens the PIN blocks of a batch for as long as something is done with the PINs. */
import { forEachKey, unlessRefused } from './byKey.ts'
import type { DukptPinKeys } from './dukptPinKeys.ts'
import type { EncipheredPin, PinFormat } from './hsm.ts'
import type { KeyHandle, KeyStore } from './keys.ts'
import { decipherPinBlocks, openPinBlock, PIN_DIGITS_MAX, pinBlockBytes, type ClearPin } from './pinBlock.ts'

/** `broken`: not a block of its format and PAN; `refused`: its key could not be used. */
export type OpenedPin = ClearPin | 'broken' | 'refused'

/** @param work gets the PINs in order; they are zero when it has returned or thrown. @returns what `work` returns */
export function withClearPins<Result>(
  keys: KeyStore,
  dukpt: DukptPinKeys,
  batch: readonly EncipheredPin[],
  work: (pins: readonly OpenedPin[]) => Result,
): Result {
  const memory = Buffer.alloc(batch.length * PIN_DIGITS_MAX)
  const pins = batch.map((): OpenedPin => 'refused')
  const open = (key: KeyHandle, format: PinFormat, places: readonly number[]): void => {
    const items = places.map((place) => batch[place]).filter((item) => item !== undefined)
    const bytes = pinBlockBytes(format)
    const blocks = Buffer.alloc(items.length * bytes)
    for (const [index, { block }] of items.entries()) if (block.length === bytes) blocks.set(block, index * bytes)
    const clear = decipherPinBlocks(
      format,
      key,
      blocks,
      items.map(({ pan }) => pan),
    )
    for (const [index, { block, pan }] of items.entries()) {
      const place = places[index] ?? 0
      const into = memory.subarray(place * PIN_DIGITS_MAX, (place + 1) * PIN_DIGITS_MAX)
      const whole = block.length === bytes
      pins[place] =
        (whole ? openPinBlock(format, clear.subarray(index * bytes, (index + 1) * bytes), pan, into) : undefined) ?? 'broken'
    }
    clear.fill(0)
  }
  try {
    forEachKey(batch, zoneOf, ({ format, under }, places) => open(keys.find(under.key, 'P0'), format, places))
    forEachKey(batch, baseKeyOf, ({ under }, places) => {
      const base = keys.find(under.key, 'B0')
      for (const place of places) {
        const item = batch[place]
        if (item?.under.by !== 'dukpt') continue
        const { ksn } = item.under
        unlessRefused(() => {
          const key = dukpt(base, ksn)
          if (key === undefined) pins[place] = 'broken'
          else open(key, item.format, [place])
        })
      }
    })
    return work(pins)
  } finally {
    memory.fill(0)
  }
}

function zoneOf({ under, format }: EncipheredPin): string | undefined {
  return under.by === 'zone' ? `${String(format)} ${under.key}` : undefined
}

function baseKeyOf({ under }: EncipheredPin): string | undefined {
  return under.by === 'dukpt' ? under.key : undefined
}
