"""The pages' words in French, by their English."""

MONTHS = {
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
}

FRENCH = {
    "API access": "Accès à l'API",
    "A shop for show: nothing is delivered, and test cards pay.": (
        "Une boutique de démonstration : rien n'est livré, et les cartes de test paient."
    ),
    "Account": "Compte",
    "Active": "Actif",
    "Anybody will do: this shop makes up its customers. No password, no message is sent.": (
        "N'importe qui convient : cette boutique invente ses clients. Pas de mot de passe, aucun "
        "message n'est envoyé."
    ),
    "Back to the prices": "Retour aux tarifs",
    "Cancel subscription": "Résilier l'abonnement",
    "Change payment method": "Changer de moyen de paiement",
    "Change plan": "Changer de formule",
    "Change to {plan}": "Passer à {plan}",
    "Choose what you need. Change or cancel at any time.": (
        "Choisissez ce qu'il vous faut. Changez ou résiliez à tout moment."
    ),
    "Closed": "Fermé",
    "Currency": "Devise",
    "E-mail address": "Adresse e-mail",
    "Ends on {day}": "Se termine le {day}",
    "Everything that a small team needs.": "Tout ce qu'il faut à une petite équipe.",
    "Free trial": "Essai gratuit",
    "Free until {day}": "Gratuit jusqu'au {day}",
    "Go to your account": "Aller à votre compte",
    "How often you pay": "Fréquence de paiement",
    "Inactive": "Inactif",
    "It is part of {plans}.": "C'est compris dans {plans}.",
    "Look again": "Regarder à nouveau",
    "Main": "Principal",
    "Manage billing": "Gérer la facturation",
    "Monthly": "Par mois",
    "Not paid": "Impayé",
    "Not paid yet": "Pas encore payé",
    "Not sold this way": "Pas proposé ainsi",
    "Nothing has been charged by this. Please try again in a moment.": (
        "Rien n'a été débité par là. Veuillez réessayer dans un instant."
    ),
    "Nothing has been paid yet. You can try again here.": (
        "Rien n'a encore été payé. Vous pouvez réessayer ici."
    ),
    "Nothing of it is open: a payment has not arrived.": (
        "Rien n'en est ouvert : un paiement n'est pas arrivé."
    ),
    "Nothing was paid. Choose a plan to try again.": (
        "Rien n'a été payé. Choisissez une formule pour réessayer."
    ),
    "Open": "Ouvert",
    "Paper that flies itself": "Du papier qui vole tout seul",
    "Paused": "En pause",
    "Paying needs JavaScript.": "Le paiement a besoin de JavaScript.",
    "Payment is late": "Paiement en retard",
    "Please give a whole e-mail address.": "Veuillez donner une adresse e-mail complète.",
    "Please go back and try again.": "Veuillez revenir en arrière et réessayer.",
    "Please go back, load it again, and repeat what you did.": (
        "Veuillez revenir en arrière, la recharger et répéter ce que vous avez fait."
    ),
    "Please sign in again": "Veuillez vous reconnecter",
    "Pricing": "Tarifs",
    "Priority support": "Assistance prioritaire",
    "Renews each month until you cancel, under Account, at any time.": (
        "Renouvelé chaque mois jusqu'à votre résiliation, à tout moment, sous Compte."
    ),
    "Renews each year until you cancel, under Account, at any time.": (
        "Renouvelé chaque année jusqu'à votre résiliation, à tout moment, sous Compte."
    ),
    "Renews on {day}": "Renouvelé le {day}",
    "Reports": "Rapports",
    "Reports and priority support besides.": "En plus, rapports et assistance prioritaire.",
    "See the prices": "Voir les tarifs",
    "Sign in": "Se connecter",
    "Sign out": "Se déconnecter",
    "Skip to the content": "Aller au contenu",
    "Something went wrong on our side": "Quelque chose s'est mal passé de notre côté",
    "Start over": "Recommencer",
    "Subscribe to {plan}": "S'abonner à {plan}",
    "Subscription": "Abonnement",
    "Thank you!": "Merci !",
    "That took too long": "Cela a pris trop de temps",
    "That was not understood": "Cela n'a pas été compris",
    "That was too much": "C'était trop",
    "The address may be mistyped, or is not yours to see.": (
        "L'adresse est peut-être mal saisie, ou n'est pas pour vous."
    ),
    "The debit is on its way, which can take some days. Everything opens by itself once the money "
    "has arrived.": (
        "Le prélèvement est en route, ce qui peut prendre quelques jours. Tout s'ouvre de "
        "lui-même dès que l'argent est arrivé."
    ),
    "The debit was refused, so nothing has been opened. Give another way to pay in your account, "
    "or write to us.": (
        "Le prélèvement a été refusé, rien n'a donc été ouvert. Donnez un autre moyen de paiement "
        "dans votre compte, ou écrivez-nous."
    ),
    "The payment form cannot be reached. Please try again in a moment.": (
        "Le formulaire de paiement est injoignable. Veuillez réessayer dans un instant."
    ),
    "The payment form has expired. Nothing was paid.": (
        "Le formulaire de paiement a expiré. Rien n'a été payé."
    ),
    "The payment form is coming…": "Le formulaire de paiement arrive…",
    "The receipt goes to {email}.": "Le reçu va à {email}.",
    "There is nothing here": "Il n'y a rien ici",
    "There is nothing to manage yet": "Il n'y a encore rien à gérer",
    "This is for subscribers.": "C'est pour les abonnés.",
    "This is what you pay for. Put your product here.": (
        "Voilà ce que vous payez. Mettez votre produit ici."
    ),
    "This page is too old": "Cette page est trop ancienne",
    "This page opens by itself as soon as it is paid.": (
        "Cette page s'ouvre d'elle-même dès que c'est payé."
    ),
    "We cannot ask about payments at the moment": (
        "Nous ne pouvons pas nous renseigner sur les paiements pour le moment"
    ),
    "We have been told, and look into it.": "Nous en sommes avertis et nous en occupons.",
    "We have noted {email}.": "Nous avons noté {email}.",
    "What you may use": "Ce que vous pouvez utiliser",
    "Yearly": "Par an",
    "You can close this page. It turns by itself.": (
        "Vous pouvez fermer cette page. Elle change d'elle-même."
    ),
    "You have been signed out.": "Vous avez été déconnecté.",
    "You have no plan.": "Vous n'avez pas de formule.",
    "You have not bought anything here.": "Vous n'avez rien acheté ici.",
    "Your account": "Votre compte",
    "Your bank did not pay": "Votre banque n'a pas payé",
    "Your bank is working on it": "Votre banque s'en occupe",
    "Your plan": "Votre formule",
    "Your plan does not open this at the moment.": (
        "Votre formule n'ouvre pas cela pour le moment."
    ),
    "Your subscription is paid, and everything in it is open to you.": (
        "Votre abonnement est payé, et tout ce qu'il comprend vous est ouvert."
    ),
    "a month": "par mois",
    "a year": "par an",
}
