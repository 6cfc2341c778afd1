/** What the page says, in English and Russian. */

import { shared } from "./storage.js";

const KEY = "click-and-cook.language";

/** `[English, Russian]` by key; `{0}`, `{1}` stand for values. */
const TEXTS = {
	tagline: ["A small kitchen that wants to be big.", "Маленькая кухня, которая хочет стать большой."],
	welcome: ["Hungry?", "Проголодались?"],
	cookNow: ["Cook now", "Готовить сразу"],
	guestNote: ["No e-mail, no password. Keep your kitchen later, if you like it.", "Без почты и пароля. Понравится — сохраните кухню потом."],
	guestText: [
		"This kitchen lives in this browser alone. With an e-mail and a password you can come back to it from anywhere.",
		"Эта кухня живёт только в этом браузере. С почтой и паролем в неё можно вернуться откуда угодно.",
	],
	keepText: [
		"Your kitchen is getting good. Shall we make sure that you can always come back to it?",
		"Кухня уже хороша. Сделаем так, чтобы в неё всегда можно было вернуться?",
	],
	claim: ["Keep my kitchen", "Сохранить кухню"],
	later: ["Later", "Потом"],
	claimed: ["The kitchen is yours: log in as {0}, wherever you are.", "Кухня ваша: входите как {0}, где бы вы ни были."],
	claimedAlready: ["This kitchen has an e-mail already.", "У этой кухни уже есть почта."],
	forgotPassword: ["Forgotten the password?", "Забыли пароль?"],
	forgot: ["Forgotten password", "Забытый пароль"],
	sendLink: ["Send me a link", "Прислать ссылку"],
	linkSent: [
		"If a kitchen has this e-mail, a link is on its way. It is good once, for 30 minutes.",
		"Если у кухни такая почта, ссылка уже в пути. Она действует один раз, 30 минут.",
	],
	deadLink: ["This link is used up or too old. Ask for another.", "Ссылка уже использована или устарела. Попросите новую."],
	newPassword: ["New password", "Новый пароль"],
	newEmail: ["Another e-mail", "Другая почта"],
	wrongPassword: ["This is not the password.", "Пароль не подходит."],
	changed: ["Done", "Готово"],
	fillIn: ["Please fill in every field.", "Заполните все поля."],
	badEmail: ["This is not an e-mail address.", "Это не адрес почты."],
	longEmail: ["This e-mail address is too long.", "Этот адрес слишком длинный."],
	shortPassword: ["The password needs at least 8 characters.", "В пароле должно быть не меньше 8 символов."],
	longPassword: ["The password is too long: at most 72 bytes.", "Пароль слишком длинный: не больше 72 байт."],
	commonPassword: ["Many people have this password: choose another.", "Этот пароль слишком частый: выберите другой."],
	badPassword: ["A character of the password cannot be used.", "В пароле есть недопустимый символ."],
	busy: ["The server is busy. Try again in {0}.", "Сервер занят. Попробуйте через {0}."],
	suspended: ["This account is suspended. {0}", "Аккаунт заблокирован. {0}"],
	suspendedUntil: ["This account is suspended until {1}. {0}", "Аккаунт заблокирован до {1}. {0}"],
	export: ["Download all that is kept of me", "Скачать всё, что обо мне хранится"],
	logOutEverywhere: ["Log out everywhere", "Выйти везде"],
	everywhereText: ["Every device where you are logged in has to log in again.", "На всех устройствах придётся войти заново."],
	logOutEverywhereSure: ["Log out on every device", "Выйти на всех устройствах"],
	leaveGuest: ["Leave this kitchen", "Уйти из этой кухни"],
	leaveGuestText: ["Nobody can come back to this kitchen, not even you.", "Вернуться в эту кухню не сможет никто, даже вы."],
	leaveGuestSure: ["Leave it for good", "Уйти навсегда"],
	delete: ["Delete the account", "Удалить аккаунт"],
	deleteText: ["The kitchen and all that is kept of you are gone for good.", "Кухня и всё, что о вас хранится, исчезнут навсегда."],
	deleteSure: ["Delete for good", "Удалить навсегда"],
	deleted: ["The account is deleted.", "Аккаунт удалён."],
	keepsNothing: [
		"This browser keeps nothing for this page: cookies are blocked. A reload ends the game.",
		"Браузер ничего не хранит для этой страницы: cookie запрещены. После обновления игра закончится.",
	],
	noDrawings: ["The pictures did not load. Reload to try again.", "Картинки не загрузились. Обновите страницу."],
	logIn: ["Log in", "Войти"],
	register: ["Start a kitchen", "Открыть кухню"],
	haveAccount: ["I have a kitchen", "У меня есть кухня"],
	noAccount: ["Start with an e-mail", "Начать с почтой"],
	email: ["E-mail", "Эл. почта"],
	password: ["Password", "Пароль"],
	passwordRule: ["At least 8 characters", "Не меньше 8 символов"],
	wrongLogIn: ["No kitchen with this e-mail and password.", "Нет кухни с такой почтой и паролем."],
	emailTaken: ["This e-mail already has a kitchen. Log in?", "С этой почтой кухня уже есть. Войти?"],
	badValue: ["Please check what you have entered.", "Проверьте, что вы ввели."],
	slowDown: ["Too many tries. Wait {0}.", "Слишком много попыток. Подождите {0}."],
	noServer: ["The server does not answer.", "Сервер не отвечает."],
	expired: ["Please log in again.", "Войдите ещё раз."],
	revoked: ["You were logged out from another place.", "Вы вышли из игры в другом месте."],
	logOut: ["Log out", "Выйти"],
	account: ["Account", "Аккаунт"],
	keys: ["Letters as keys: C, S, L; ? shows all", "Буквы как клавиши: C, S, L; ? покажет все"],
	keysTitle: ["Keys", "Клавиши"],
	keyCook: ["Cook; hold to go on", "Готовить; держите, чтобы продолжать"],
	keySell: ["Sell; hold to go on", "Продать; держите, чтобы продолжать"],
	keyLevel: ["Take the next rank", "Взять новый ранг"],
	keyHelp: ["Show these keys", "Показать эти клавиши"],
	keyArrows: ["Move along the tabs of the menu", "Ходить по вкладкам меню"],
	close: ["Close", "Закрыть"],
	language: ["Русский язык", "English language"],
	connecting: ["Connecting…", "Подключаюсь…"],
	connected: ["Connected", "На связи"],
	resending: ["Sending again: {0}", "Отправляю снова: {0}"],
	reconnecting: ["Reconnecting in {0}", "Снова подключусь через {0}"],
	crowded: ["Too many tabs are open", "Открыто слишком много вкладок"],
	retry: ["Now", "Сейчас"],
	waiting: ["Waiting for the connection", "Жду соединения"],
	saved: ["Saved", "Сохранено"],
	saving: ["Saving…", "Сохраняю…"],
	kitchen: ["Kitchen", "Кухня"],
	place0: ["Street cart", "Тележка на улице"],
	place1: ["Food truck", "Фудтрак"],
	place2: ["Small café", "Маленькое кафе"],
	place3: ["Family restaurant", "Семейный ресторан"],
	place4: ["Restaurant with stars", "Ресторан со звёздами"],
	newPlace: ["You have moved: {0}!", "Переезд: {0}!"],
	money: ["Money", "Деньги"],
	dishes: ["Dishes", "Блюда"],
	perSecond: ["{0}/s", "{0}/с"],
	cook: ["Cook", "Готовить"],
	sell: ["Sell", "Продать"],
	cookGain: ["dishes +{0}", "блюда +{0}"],
	sellGain: ["money +{0}", "деньги +{0}"],
	nothingToSell: ["nothing to sell", "продавать нечего"],
	noRecipe: ["buy a dish first", "сначала купите блюдо"],
	rank: ["Rank {0}", "Ранг {0}"],
	experience: ["Experience", "Опыт"],
	xp: ["{0} of {1} xp", "{0} из {1} опыта"],
	lastRank: ["The highest rank", "Высший ранг"],
	levelUp: ["Level up!", "Новый ранг!"],
	totals: ["Money {0}, dishes {1}", "Деньги {0}, блюда {1}"],
	menu: ["Menu", "Меню"],
	dish: ["Dishes", "Блюда"],
	equipment: ["Kitchen", "Техника"],
	global: ["Ideas", "Идеи"],
	staff: ["Staff", "Команда"],
	point: ["Places", "Точки"],
	buy: ["Buy {0} for {1}", "Купить: {0}, {1}"],
	free: ["free", "даром"],
	owned: ["Yours", "Куплено"],
	fromRank: ["rank {0}", "ранг {0}"],
	soonest: ["Pays back first: {0}", "Окупится первым: {0}"],
	bought: ["Bought: {0}", "Куплено: {0}"],
	dPc: ["dishes each time you cook +{0}: {1}\u00a0→\u00a0{2}", "блюда за готовку +{0}: {1}\u00a0→\u00a0{2}"],
	mPc: ["+{0} for each dish you sell: {1}\u00a0→\u00a0{2}", "+{0} за каждое проданное блюдо: {1}\u00a0→\u00a0{2}"],
	sPs: ["dishes each time you sell +{0}: {1}\u00a0→\u00a0{2}", "блюда за продажу +{0}: {1}\u00a0→\u00a0{2}"],
	dPs: ["cooks by itself, +{0} a second: {1}\u00a0→\u00a0{2}", "готовит само, +{0} в секунду: {1}\u00a0→\u00a0{2}"],
	mPs: ["sells by itself, +{0} for each dish: {1}\u00a0→\u00a0{2}", "продаёт само, +{0} за блюдо: {1}\u00a0→\u00a0{2}"],
	dM: ["dishes you cook by hand: ×{0}\u00a0→\u00a0×{1}", "блюда, что готовите вы: ×{0}\u00a0→\u00a0×{1}"],
	mM: ["money for what you sell by hand: ×{0}\u00a0→\u00a0×{1}", "деньги за ваши продажи: ×{0}\u00a0→\u00a0×{1}"],
	dpM: ["dishes that cook themselves: ×{0}\u00a0→\u00a0×{1}", "блюда, что готовятся сами: ×{0}\u00a0→\u00a0×{1}"],
	mpM: ["money for what sells itself: ×{0}\u00a0→\u00a0×{1}", "деньги за продажи без вас: ×{0}\u00a0→\u00a0×{1}"],
	stars: ["Stars", "Звёзды"],
	starsText: [
		"Automatic sales earn stars. A reset starts the kitchen from nothing, but keeps them and raises all prices.",
		"Автопродажа копит звёзды. Сброс начнёт кухню с нуля, но сохранит их и поднимет цены.",
	],
	starsNow: ["Stars now", "Звёзд сейчас"],
	starsGathered: ["Gathered since", "Накоплено с тех пор"],
	starsAfter: ["After a reset", "После сброса"],
	pricesNow: ["Prices now", "Цены сейчас"],
	needStar: ["A reset needs one whole gathered star.", "Для сброса нужна одна целая накопленная звезда."],
	reset: ["Start again with {0} stars", "Начать заново: звёзд {0}"],
	resetTitle: ["Start again?", "Начать заново?"],
	resetSure: ["Give it up, start again", "Отдать и начать заново"],
	goBack: ["No, go on as it is", "Нет, оставить как есть"],
	lost: ["You give up", "Вы отдаёте"],
	rankLost: ["Rank", "Ранг"],
	upgradesLost: ["Bought upgrades", "Купленные улучшения"],
	kept: ["You keep", "Вы сохраняете"],
	keptText: ["Your stars, achievements, name, and place on the list.", "Звёзды, достижения, имя и место в списке."],
	brings: ["You get", "Вы получаете"],
	prices: ["What you sell brings", "Продажи приносят"],
	factorStep: ["×{0}\u00a0→\u00a0×{1}", "×{0}\u00a0→\u00a0×{1}"],
	not_enough_prestige: ["A reset needs one whole gathered star.", "Для сброса нужна одна целая накопленная звезда."],
	resetDone: ["A new kitchen, and everything sells ×{0}", "Новая кухня, и всё продаётся ×{0}"],
	away: ["While you were away", "Пока вас не было"],
	awayText: ["Your kitchen worked {0} of {1}:", "Кухня работала {0} из {1}:"],
	board: ["Best kitchens", "Лучшие кухни"],
	by_money: ["By money", "По деньгам"],
	by_stars: ["By stars", "По звёздам"],
	nobody: ["Nobody has chosen a name yet.", "Здесь пока никого нет."],
	name: ["Your kitchen's name on this list", "Имя вашей кухни в этом списке"],
	kitchenName: ["Name of the kitchen", "Имя кухни"],
	setName: ["Save", "Сохранить"],
	name_taken: ["This name is taken.", "Это имя занято."],
	name_invalid: ["3 to 24 characters, please.", "От 3 до 24 символов."],
	medals: ["Achievements", "Достижения"],
	medal: ["Achievement: {0}", "Достижение: {0}"],
	done: ["done", "получено"],
	not_enough_money: ["Not enough money", "Не хватает денег"],
	upgrade_locked: ["Your rank is too low", "Ранг пока низкий"],
	coachBuy: ["Welcome! I am Pan, your cook. Take the sandwich, it is free.", "Привет! Я Пан, ваш повар. Возьмите сэндвич: он даром."],
	coachCook: ["Now cook a few. Press, or hold to go on.", "Теперь приготовьте несколько. Нажмите или держите."],
	coachSell: ["The guests are hungry. Sell!", "Гости голодны. Продавайте!"],
	coachGrow: ["Save up and buy what pays back first.", "Накопите и купите то, что окупится первым."],
	coachLevel: ["All you do brings experience. A full bar is a new rank.", "Всё даёт опыт. Полная полоска — новый ранг."],
	skip: ["I know how", "Я умею"],
};

const LANGUAGES = ["en", "ru"];
let language = shared.get(KEY);
if (!LANGUAGES.includes(language)) language = navigator.language.startsWith("ru") ? "ru" : "en";

/** The language of the page: `en` or `ru`. */
export const spoken = () => language;

/** The server's name of something, in the page's language where it knows it. */
export const named = (names, name) => names?.[language] ?? name;

/** The text of a key, or undefined. @param {...(string | number)} values for `{0}`, `{1}` */
export function say(key, ...values) {
	return TEXTS[key]?.[LANGUAGES.indexOf(language)].replace(/\{(\d)\}/g, (_, i) => values[i]);
}

/** Changes to the other language, in this browser from now on. */
export function switchLanguage() {
	language = LANGUAGES[1 - LANGUAGES.indexOf(language)];
	shared.set(KEY, language);
}

/** Puts the texts into the page: `data-t` is the key of a text, `data-label` of an accessible name. */
export function translate() {
	document.documentElement.lang = language;
	for (const node of document.querySelectorAll("[data-t]")) node.textContent = say(node.dataset.t);
	for (const node of document.querySelectorAll("[data-label]")) node.ariaLabel = node.title = say(node.dataset.label);
}
