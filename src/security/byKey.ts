/** The items of a batch by the key that each needs, so that one call of a cipher serves all that share it. */
import { KeyRefused } from './keys.ts'

/**
 * Calls `work` once a key, with the places of its items in the batch. Where the key is refused, nothing happens: the verdicts of a batch begin
 * as `refused`, and those of these items stay it.
 *
 * @param keyOf names the key, and whatever else items must share; undefined leaves an item out
 */
export function forEachKey<Item>(
  batch: readonly Item[],
  keyOf: (item: Item, place: number) => string | undefined,
  work: (first: Item, places: readonly number[]) => void,
): void {
  const groups = new Map<string, { readonly first: Item; readonly places: number[] }>()
  for (const [place, item] of batch.entries()) {
    const key = keyOf(item, place)
    if (key === undefined) continue
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { first: item, places: [place] })
    else group.places.push(place)
  }
  for (const { first, places } of groups.values()) unlessRefused(() => work(first, places))
}

/** @throws whatever `work` throws but a KeyRefused */
export function unlessRefused(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof KeyRefused)) throw error
  }
}
