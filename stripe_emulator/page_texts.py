"""The pages' words in other languages, by their English."""

from collections.abc import Callable

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
    "Account number": "Numéro de compte",
    "Active": "Actif",
    "Added to your next invoice": "Ajouté à votre prochaine facture",
    "Another reason": "Une autre raison",
    "Anything to add?": "Quelque chose à ajouter ?",
    "Apply": "Appliquer",
    "Back to the shop": "Retour à la boutique",
    "Billed": "Facturé",
    "Billed once": "Facturé une fois",
    "Billing details": "Coordonnées de facturation",
    "Book": "Réserver",
    "By giving your IBAN you allow %(merchant)s to collect payments from this account by SEPA "
    "Direct Debit. You can have a payment refunded by your bank within eight weeks.": (
        "En donnant votre IBAN, vous autorisez %(merchant)s à prélever ce compte par prélèvement "
        "SEPA. Votre banque peut vous rembourser un paiement dans les huit semaines."
    ),
    "By giving your account you allow %(merchant)s to debit it through the Bulk Electronic "
    "Clearing System, and say that you may do so alone.": (
        "En donnant votre compte, vous autorisez %(merchant)s à le débiter par le Bulk Electronic "
        "Clearing System et déclarez pouvoir le faire seul."
    ),
    "By going on you allow %(merchant)s to charge you by these terms until you cancel.": (
        "En continuant, vous autorisez %(merchant)s à vous débiter selon ces conditions jusqu'à "
        "votre résiliation."
    ),
    "Cancel subscription": "Résilier l'abonnement",
    "Cancel your subscription": "Résilier votre abonnement",
    "Canceled": "Résilié",
    "Card": "Carte bancaire",
    "Card number": "Numéro de carte",
    "Change details": "Modifier les coordonnées",
    "Change payment method": "Changer de moyen de paiement",
    "Change plan": "Changer de formule",
    "Change your details": "Modifier vos coordonnées",
    "Change your payment method": "Changer de moyen de paiement",
    "Change your plan": "Changer de formule",
    "Charged now, for what is left of this period": (
        "Débité maintenant, pour le reste de cette période"
    ),
    "Complete": "Accepter",
    "Confirm": "Confirmer",
    "Confirm your new plan": "Confirmer votre nouvelle formule",
    "Contact information": "Coordonnées",
    "Continue": "Continuer",
    "Credit for what is left of this period": "Avoir pour le reste de cette période",
    "Current": "Actuelle",
    "Customer service was not good enough": "Le service client n'était pas satisfaisant",
    "Don't cancel": "Ne pas résilier",
    "Discount": "Remise",
    "Donate": "Donner",
    "Draft": "Brouillon",
    "Email": "Adresse e-mail",
    "Ended on %(day)s": "Terminé le %(day)s",
    "Ends on %(day)s": "Se termine le %(day)s",
    "Expiration date": "Date d'expiration",
    "Expired": "Expiré",
    "Fail": "Refuser",
    "Fill in a test account": "Remplir avec un compte de test",
    "First and last name": "Prénom et nom",
    "Free": "Gratuit",
    "Go back": "Retour",
    "Go back to the shop to begin again.": "Retournez à la boutique pour recommencer.",
    "I agree to the terms of service.": "J'accepte les conditions d'utilisation.",
    "I do not use it enough": "Je ne l'utilise pas assez",
    "I found an alternative": "J'ai trouvé une autre solution",
    "I need features that are missing": "Il manque des fonctionnalités",
    "Incomplete": "Incomplet",
    "Invoices": "Factures",
    "It is too expensive": "C'est trop cher",
    "It is too hard to use": "C'est trop compliqué",
    "MM / YY": "MM / AA",
    "Manage your subscription": "Gérer votre abonnement",
    "Name": "Nom",
    "Name on the card or account": "Nom du titulaire",
    "No email address": "Pas d'adresse e-mail",
    "None on file": "Aucun enregistré",
    "Now": "Maintenant",
    "Open": "À payer",
    "Paid": "Payée",
    "Past due": "En retard",
    "Paused": "En pause",
    "Pay": "Payer",
    "Payment": "Paiement",
    "Payment method": "Moyen de paiement",
    "Plan": "Formule",
    "Processing…": "Traitement…",
    "Promotion code": "Code promotionnel",
    "Quality was not good enough": "La qualité n'était pas satisfaisante",
    "Quantity": "Quantité",
    "Renews on %(day)s": "Renouvelé le %(day)s",
    "Save": "Enregistrer",
    "Security code": "Cryptogramme",
    "Something went wrong": "Un problème est survenu",
    "Start trial": "Commencer l'essai",
    "Subscribe": "S'abonner",
    "Subscribe to %(name)s": "S'abonner à %(name)s",
    "Subscriptions": "Abonnements",
    "Subtotal": "Sous-total",
    "Test mode": "Mode test",
    "Thank you": "Merci",
    "The payment could not be sent. Try again.": (
        "Le paiement n'a pas pu être envoyé. Veuillez réessayer."
    ),
    "Then": "Ensuite",
    "Then %(amount)s": "Puis %(amount)s",
    "There are no invoices yet.": "Il n'y a pas encore de facture.",
    "There is no subscription.": "Il n'y a pas d'abonnement.",
    "This is a local emulator: no money moves.": (
        "Ceci est un émulateur local : aucun argent ne circule."
    ),
    "This page has expired": "Cette page a expiré",
    "This page needs JavaScript.": "Cette page a besoin de JavaScript.",
    "This payment has already been made.": "Ce paiement a déjà été effectué.",
    "This stands in for the bank's 3D Secure page. Choose how you answer.": (
        "Ceci remplace la page 3D Secure de la banque. Choisissez votre réponse."
    ),
    "Total due today": "Total dû aujourd'hui",
    "Trial": "Essai",
    "Try %(name)s": "Essayer %(name)s",
    "Uncollectible": "Irrécouvrable",
    "Unpaid": "Impayé",
    "Void": "Annulée",
    "What you buy": "Votre achat",
    "Why do you cancel? (optional)": "Pourquoi résiliez-vous ? (facultatif)",
    "You keep %(name)s until %(day)s. Then it ends and is not charged again.": (
        "Vous gardez %(name)s jusqu'au %(day)s. Ensuite il prend fin sans autre débit."
    ),
    "You're all done here": "Tout est terminé",
    "Your bank asks: is this you?": "Votre banque demande : est-ce bien vous ?",
    "Your details have been changed.": "Vos coordonnées ont été modifiées.",
    "Your payment method has been changed.": "Votre moyen de paiement a été modifié.",
    "Your subscription goes on.": "Votre abonnement continue.",
    "Your subscription has begun.": "Votre abonnement a commencé.",
    "Your subscription has been canceled.": "Votre abonnement a été résilié.",
    "Your subscription has been changed.": "Votre abonnement a été modifié.",
    "Your trial ends on %(day)s": "Votre essai se termine le %(day)s",
    "%(days)s days free": "%(days)s jours gratuits",
    "%(name)s ends at once.": "%(name)s prend fin immédiatement.",
    "every %(count)s days": "tous les %(count)s jours",
    "every %(count)s months": "tous les %(count)s mois",
    "every %(count)s weeks": "toutes les %(count)s semaines",
    "every %(count)s years": "tous les %(count)s ans",
    "from %(day)s": "à partir du %(day)s",
    "per day": "par jour",
    "per month": "par mois",
    "per week": "par semaine",
    "per year": "par an",
}
WORDS: dict[str, dict[str, str]] = {"fr": FRENCH}


def in_(language: str) -> Callable[..., str]:
    """Give what translates; English stands in for what has no translation."""
    words = WORDS.get(language, {})

    def translate(text: str, **values: object) -> str:
        found = words.get(text, text)
        return found % values if values else found

    return translate
