/** What the desk says, in English and Russian. */

const KEY = "click-and-cook.desk.language";

/** `[English, Russian]` by key; `{0}`, `{1}` stand for values. */
const TEXTS = {
	skip: ["To the content", "К содержимому"],
	desk: ["desk", "стол"],
	sections: ["Sections", "Разделы"],
	now: ["Now", "Сейчас"],
	players: ["Players", "Игроки"],
	readOnly: ["may only look", "только просмотр"],
	leave: ["Log out", "Выйти"],
	language: ["По-русски", "In English"],
	close: ["Close", "Закрыть"],
	welcome: ["Who answers letters today?", "Кто сегодня отвечает на письма?"],
	token: ["Your token", "Ваш токен"],
	tokenNote: ["It is one of DESK_TOKENS, without the name. This tab alone keeps it, until it is closed.", "Один из DESK_TOKENS, без имени. Он хранится только в этой вкладке, пока она открыта."],
	enter: ["Come in", "Войти"],
	wrongToken: ["This is none of the tokens.", "Такого токена нет."],
	tooManyTokens: ["Too many wrong tokens came from this address: wait a minute.", "С этого адреса пришло слишком много неверных токенов: подождите минуту."],
	noAnswer: ["The server does not answer.", "Сервер не отвечает."],
	loading: ["One moment …", "Минуту …"],

	allWell: ["All is well", "Всё в порядке"],
	wrongTitle: ["What is wrong, and what to do", "Что не так и что делать"],
	minutes: ["the last 15 minutes", "последние 15 минут"],
	ago: ["15 min ago", "15 мин назад"],
	present: ["now", "сейчас"],
	online: ["Players online", "Игроков на связи"],
	joined: ["Connections playing", "Соединений в игре"],
	clicks: ["Clicks a second", "Кликов в секунду"],
	latency: ["Answer time, p50 and p99", "Время ответа, p50 и p99"],
	refusals: ["Refusals a second", "Отказов в секунду"],
	backlog: ["Sessions to be saved", "Сессий ждут записи"],
	oldest: ["the oldest for {0}", "старейшая {0}"],
	notKnownNow: ["not known while Redis is away", "неизвестно, пока Redis недоступен"],
	redis: ["Redis, p99", "Redis, p99"],
	postgresql: ["PostgreSQL, p99", "PostgreSQL, p99"],
	away: ["away", "недоступен"],
	processes: ["Server processes", "Процессы сервера"],
	server: ["server", "сервер"],
	thisServer: ["this server", "этот сервер"],
	process: ["process", "процесс"],
	state: ["state", "состояние"],
	cpu: ["CPU", "ЦП"],
	memory: ["memory", "память"],
	loop: ["event loop late, p99", "опоздание цикла, p99"],
	down: ["does not answer", "не отвечает"],
	kind: ["kind", "вид"],
	perSecond: ["a second", "в секунду"],
	byKind: ["Refusals by kind", "Отказы по видам"],
	none: ["none", "нет"],
	parts: ["In the server's own words", "Словами самого сервера"],
	chart: ["{0}: now {1}, at most {2} in {3}", "{0}: сейчас {1}, не больше {2} за {3}"],

	findTitle: ["Find a player", "Найти игрока"],
	findLabel: ["Id, or the beginning of an e-mail or name", "Номер либо начало почты или имени"],
	find: ["Find", "Найти"],
	nobody: ["Nobody is called so.", "Никого с таким началом нет."],
	more: ["There are more: type more letters.", "Есть ещё: наберите больше букв."],
	foundCount: ["{0} found", "найдено: {0}"],
	guest: ["a guest", "гость"],
	noName: ["no name", "без имени"],

	player: ["Player {0}", "Игрок {0}"],
	refresh: ["Look again", "Обновить"],
	follow: ["Follow live", "Следить"],
	changes: ["Changes, as the player's tabs are sent them", "Изменения, как их получают вкладки игрока"],
	account: ["Account", "Учётная запись"],
	email: ["E-mail", "Почта"],
	name: ["Name", "Имя"],
	opened: ["Opened", "Открыта"],
	connected: ["Connected to", "На связи с"],
	processCount: ["server processes: {0}", "процессами сервера: {0}"],
	suspendedUntil: ["Suspended until", "Отстранён до"],
	noEnd: ["an operator ends it", "решения оператора"],
	because: ["Because", "Причина"],
	saved: ["Saved", "Записано"],
	unsaved: ["unsaved changes since {0}", "незаписанное с {0}"],
	allSaved: ["nothing is unsaved", "всё записано"],
	session: ["Session", "Сессия"],
	neverPlayed: ["This player has never played.", "Этот игрок ещё не играл."],
	unreadable: ["The session cannot be read: {0}", "Сессию не прочитать: {0}"],
	thing: ["what", "что"],
	owns: ["Owns", "Куплено"],
	times: ["times", "раз"],
	tabs: ["Tabs that number their requests", "Вкладки, нумерующие запросы"],
	tab: ["tab", "вкладка"],
	highest: ["applied up to", "учтено до"],
	logIns: ["Log-ins", "Входы"],
	began: ["began", "начат"],
	used: ["last used", "последний раз"],
	ended: ["ended", "закончен"],
	live: ["live", "действует"],
	log: ["What operators did", "Что делали операторы"],
	number: ["no.", "№"],
	when: ["when", "когда"],
	operator: ["operator", "оператор"],
	change: ["change", "изменение"],
	reason: ["reason", "причина"],
	outcome: ["outcome", "итог"],

	actions: ["What to do", "Что сделать"],
	give: ["Give", "Дать"],
	take: ["Take", "Забрать"],
	"set-rank": ["Set rank", "Задать ранг"],
	rename: ["Rename", "Переименовать"],
	suspend: ["Suspend", "Отстранить"],
	unsuspend: ["End the suspension", "Снять отстранение"],
	"log-out": ["End all log-ins", "Закончить все входы"],
	"reset-link": ["Link for a new password", "Ссылка для нового пароля"],
	export: ["Download the export", "Скачать всё"],
	import: ["Import an export", "Внести выгрузку"],
	"restore-from": ["Restore from own export", "Вернуть из своей выгрузки"],
	delete: ["Delete the player", "Удалить игрока"],
	undo: ["Take back", "Отменить"],
	amount: ["How much", "Сколько"],
	rank: ["Rank", "Ранг"],
	newName: ["New name", "Новое имя"],
	howLong: ["For how long", "На сколько"],
	withoutEnd: ["without an end", "без срока"],
	file: ["File of an export", "Файл выгрузки"],
	why: ["Why (kept in the log for good; the letter's number, no name, no e-mail)", "Почему (остаётся в журнале; номер письма, без имени и почты)"],
	playerReads: ["The player reads this reason.", "Эту причину прочитает игрок."],
	next: ["Show what changes", "Показать, что изменится"],
	willChange: ["This will change", "Изменится"],
	before: ["before", "было"],
	after: ["after", "станет"],
	noChange: ["Nothing would change.", "Ничего не изменится."],
	doIt: ["Do it", "Сделать"],
	back: ["Back", "Назад"],
	doneTitle: ["Done, number {0}", "Сделано, № {0}"],
	refusedTitle: ["Refused, number {0}", "Отказано, № {0}"],
	earlier: ["This was done before under this number; nothing was changed now.", "Это уже было сделано под этим номером; сейчас ничего не изменилось."],
	notKnown: ["What was there before is not known.", "Что было раньше, неизвестно."],
	linkNote: ["Good once, for 30 minutes. Send it to the address of the account and to no other.", "Действует один раз, 30 минут. Отправьте её на адрес учётной записи и никуда больше."],
	forGood: ["Nothing brings a deleted player back.", "Удалённого игрока не вернуть."],
	again: ["Also where the very same was done before", "Даже если то же самое уже делали"],
	playing: ["The player may play on meanwhile: the amounts then are what counts.", "Игрок может играть дальше: считается то, что будет в тот миг."],

	"w:money": ["money", "деньги"],
	"w:dishes": ["dishes", "блюда"],
	"w:xp": ["xp", "опыт"],
	"w:stars": ["stars", "звёзды"],
	"w:accumulated": ["stars of the next reset", "звёзды следующего сброса"],
	"w:boost": ["boost", "множитель"],
	"w:rank": ["rank", "ранг"],
	"w:clicks": ["clicks", "клики"],
	"w:cooked": ["cooked", "приготовлено"],
	"w:earned": ["earned", "заработано"],
	"w:purchases": ["purchases", "покупки"],
	"w:resets": ["resets", "сбросы"],
	"w:version": ["version", "версия"],
	"w:achievements": ["achievements", "достижения"],
	"w:access": ["access", "доступ"],
	"w:log-ins": ["log-ins", "входы"],
	"w:name": ["name", "имя"],
	"w:link": ["link", "ссылка"],
	"w:account": ["account", "учётная запись"],
	"w:plays": ["plays", "играет"],
	"w:suspended": ["suspended", "отстранён"],
	"w:suspended without end": ["suspended without an end", "отстранён без срока"],
	"w:done": ["done", "сделано"],
	"w:refused": ["refused", "отказано"],
	"w:unknown": ["unknown", "неизвестно"],
	"w:ok": ["ok", "в порядке"],
	"w:degraded": ["degraded", "с перебоями"],
	"w:unavailable": ["unavailable", "недоступен"],
	"w:draining": ["draining", "завершается"],
	"w:not known": ["not known", "неизвестно"],
};

/** What is wrong, and what to do: `[English, Russian]` of both, by the server's name for it. From docs/operations.md. */
const TROUBLES = {
	server_away: [
		["A server does not answer: {0}.", "Сервер не отвечает: {0}."],
		["Stopped on purpose: it disappears in five minutes, or once DESK_SERVERS lists it no more. Otherwise read its log.", "Остановлен намеренно: исчезнет через пять минут либо когда его уберут из DESK_SERVERS. Иначе прочитайте его журнал."],
	],
	worker_down: [
		["A server process does not answer: number {0}.", "Процесс сервера не отвечает: № {0}."],
		["It is started again by itself. If it stays away, read its last lines in the log (worker_ended, worker_killed).", "Он запускается снова сам. Если не вернулся, прочитайте его последние строки в журнале (worker_ended, worker_killed)."],
	],
	redis_away: [
		["Redis is away: nobody can play.", "Redis недоступен: никто не может играть."],
		["Check Redis and the network to it. Do not restart the game: it connects again by itself, and clients resend.", "Проверьте Redis и сеть до него. Игру не перезапускайте: она подключится сама, клиенты пришлют всё снова."],
	],
	redis_refuses: [
		["Redis refuses changes.", "Redis отвергает изменения."],
		["Full: raise maxmemory, nothing needs a restart. Cannot save: look at its disk and its own log.", "Переполнен: поднимите maxmemory, перезапуск не нужен. Не может сохранить: проверьте его диск и журнал."],
	],
	redis_not_durable: [
		["Redis would lose answered requests in a crash.", "При сбое Redis потеряет подтверждённые запросы."],
		["Set appendonly yes, appendfsync always, maxmemory-policy noeviction.", "Задайте appendonly yes, appendfsync always, maxmemory-policy noeviction."],
	],
	postgresql_away: [
		["PostgreSQL is away: play goes on, log-ins and changes at this desk do not.", "PostgreSQL недоступен: игра идёт, входы и изменения за этим столом нет."],
		["Bring it back; what is unsaved waits in Redis and is written by itself. Watch the age of the backlog.", "Верните его; незаписанное ждёт в Redis и запишется само. Следите за возрастом очереди."],
	],
	backlog_late: [
		["Sessions wait long to be saved: {0}.", "Сессии долго ждут записи: {0}."],
		["Look at PostgreSQL (load, disk), and whether a flusher runs. Nothing is lost while Redis keeps its log.", "Проверьте PostgreSQL (нагрузка, диск) и работает ли запись. Пока Redis ведёт свой журнал, ничего не потеряно."],
	],
	flush_failing: [
		["Saving to PostgreSQL fails, {0} times in a row.", "Запись в PostgreSQL не удаётся, {0} раз подряд."],
		["Check PostgreSQL; it is tried again by itself, in smaller batches (flush_failed in the log).", "Проверьте PostgreSQL; попытки повторяются сами, меньшими частями (flush_failed в журнале)."],
	],
	quarantined: [
		["PostgreSQL refuses a session; all others are saved.", "PostgreSQL отвергает одну сессию; все прочие записаны."],
		["The log says whose and why (session_quarantined). The session stays in Redis.", "В журнале сказано, чья и почему (session_quarantined). Сессия остаётся в Redis."],
	],
	requests_unavailable: [
		["Requests are answered `unavailable`: {0}.", "На запросы отвечают «недоступно»: {0}."],
		["Check Redis, and PostgreSQL for players who come back (request_not_served in the log).", "Проверьте Redis, а для возвращающихся игроков PostgreSQL (request_not_served в журнале)."],
	],
	requests_failed: [
		["Requests fail by a fault of the server: {0}.", "Запросы не удаются из-за ошибки сервера: {0}."],
		["The players got an error and the server goes on. Report the line request_failed of the log.", "Игроки получили ошибку, сервер работает. Сообщите о строке request_failed из журнала."],
	],
	loop_late: [
		["A server process is too busy: it is late by {0}.", "Процесс сервера перегружен: опаздывает на {0}."],
		["Add processes (WORKERS), or look what else takes the machine's time.", "Добавьте процессы (WORKERS) или посмотрите, что ещё занимает машину."],
	],
	log_lost: [
		["Lines of the log could not be written: {0}.", "Не удалось записать строки журнала: {0}."],
		["Check the reader of the log, or its disk; nothing needs a restart.", "Проверьте, кто читает журнал, или его диск; перезапуск не нужен."],
	],
	mails_failing: [
		["Mail is not delivered.", "Письма не доставляются."],
		["Check SMTP_URL and the mail server's log (mail_failed in the log). Until then: a link for a new password from here.", "Проверьте SMTP_URL и журнал почтового сервера (mail_failed в журнале). Пока что ссылку для пароля можно дать отсюда."],
	],
	connections_refused: [
		["Connections are refused, as a limit is reached: {0}.", "Соединения отклоняются: достигнут предел ({0})."],
		["A crowd: raise MAX_CONNECTIONS, add processes. One address: MAX_CONNECTIONS_PER_IP, TRUSTED_PROXIES behind a proxy.", "Наплыв: поднимите MAX_CONNECTIONS, добавьте процессы. Один адрес: MAX_CONNECTIONS_PER_IP, за прокси TRUSTED_PROXIES."],
	],
};

let language = localStorage.getItem(KEY) ?? (navigator.language.startsWith("ru") ? "ru" : "en");

export const tongue = () => language;

export function changeTongue() {
	language = language === "ru" ? "en" : "ru";
	localStorage.setItem(KEY, language);
}

const pick = ([en, ru], values) => (language === "ru" ? ru : en).replace(/\{(\d)\}/g, (_, at) => values[at] ?? "");

/** The text of a key. */
export const say = (key, ...values) => pick(TEXTS[key], values);

/** A word of the server's in the page's language; what it does not know stays as it is. */
export const word = (text) => (Object.hasOwn(TEXTS, `w:${text}`) ? say(`w:${text}`) : text.replace(/^suspended /, `${say("w:suspended")} `));

/** What is wrong, and what to do. */
export function trouble({ name, detail }) {
	const [what, todo] = TROUBLES[name] ?? [[name, name], ["", ""]];
	return { what: pick(what, [detail]), todo: pick(todo, []), detail: what[0].includes("{0}") ? "" : detail };
}

/** Writes the texts of everything in the page that names one. */
export function translate() {
	document.documentElement.lang = language;
	document.title = `Click & Cook: ${say("desk")}`;
	for (const node of document.querySelectorAll("[data-t]")) node.textContent = say(node.dataset.t);
	for (const node of document.querySelectorAll("[data-label]")) {
		node.setAttribute("aria-label", say(node.dataset.label));
	}
	document.getElementById("language").textContent = language === "ru" ? "EN" : "RU";
}
