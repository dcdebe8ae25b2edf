import { BUGS } from './bugs.ts'
import { carryOut } from './history.ts'
import { planOf } from './plan.ts'
const bug = BUGS.find((b) => b.name === process.argv[2])
let found = 0
for (let s = Number(process.argv[3]); s <= Number(process.argv[4]) && found < 3; s++) { const r = await carryOut(planOf(s), bug); if (r.failure) { found++; console.log(process.argv[2], s, r.steps, r.failure) } }
console.log('done')
