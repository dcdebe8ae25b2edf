import { BUGS } from './bugs.ts'
import { carryOut } from './history.ts'
import { planOf } from './plan.ts'
const bug = BUGS.find((b) => b.name === 'sweep-not-found')
for (let s = Number(process.argv[2]); s <= Number(process.argv[3]); s++) { const r = await carryOut(planOf(s), bug); if (r.failure) { console.log(s, r.steps, r.failure); break } }
console.log('end')
