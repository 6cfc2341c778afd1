/** The page's sounds, made as they are played: no file is loaded. Loaded itself once somebody asks for sounds. */

let audio = null;

/** Notes after each other: frequencies in Hz, how long each lasts, how loud, and the form of the wave. */
const SOUNDS = {
	sell: { notes: [1319, 1760], noteS: 0.07, volume: 0.09, wave: "triangle" },
	buy: { notes: [523, 659, 784], noteS: 0.07, volume: 0.1, wave: "triangle" },
	refused: { notes: [196, 165], noteS: 0.09, volume: 0.08, wave: "square" },
	rank: { notes: [523, 659, 784, 1047], noteS: 0.11, volume: 0.12, wave: "triangle" },
	medal: { notes: [784, 988, 1175], noteS: 0.1, volume: 0.1, wave: "sine" },
};
const SIZZLE = { seconds: 0.12, volume: 0.12, hertz: 2600 };

/** Plays `cook` or one of SOUNDS. A browser that allows no sound yet plays none. */
export function play(name) {
	audio ??= new AudioContext();
	if (audio.state === "suspended") audio.resume();
	if (name === "cook") sizzle();
	else melody(SOUNDS[name]);
}

function melody({ notes, noteS, volume, wave }) {
	const gain = fading(audio.currentTime + noteS * notes.length, volume);
	const tone = new OscillatorNode(audio, { type: wave });
	notes.forEach((hertz, i) => tone.frequency.setValueAtTime(hertz, audio.currentTime + i * noteS));
	tone.connect(gain);
	tone.start();
	tone.stop(audio.currentTime + noteS * (notes.length + 1));
}

/** Something falls into hot fat: a short noise. */
function sizzle() {
	const length = audio.sampleRate * SIZZLE.seconds;
	const noise = new AudioBuffer({ length, sampleRate: audio.sampleRate });
	const samples = noise.getChannelData(0);
	for (let i = 0; i < samples.length; i++) samples[i] = Math.random() * 2 - 1;
	const source = new AudioBufferSourceNode(audio, { buffer: noise });
	const filter = new BiquadFilterNode(audio, { type: "bandpass", frequency: SIZZLE.hertz });
	source.connect(filter).connect(fading(audio.currentTime + SIZZLE.seconds, SIZZLE.volume));
	source.start();
}

function fading(untilS, volume) {
	const gain = new GainNode(audio, { gain: volume });
	gain.gain.setTargetAtTime(0, untilS - 0.04, 0.02);
	gain.connect(audio.destination);
	return gain;
}
